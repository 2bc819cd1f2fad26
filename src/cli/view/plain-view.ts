import type { Build } from '../../contract/api.ts';
import { createLogText } from '../../contract/log-text.ts';
import { describeAccepted } from './describe.ts';
import type { Write } from './streams.ts';
import type { ProgressView } from './view.ts';
import { describePlace, describeWaiting } from './waiting.ts';

/** Plain lines: the log on one stream, what is about it on the other. For pipes, files and terminals that cannot do more. */
export function createPlainView(log: Write, notices: Write): ProgressView {
  const text = createLogText();
  let state: Build['state'] | null = null;
  let waiting = '';
  let sending = '';
  return {
    sending({ what }) {
      if (what === sending) return;
      sending = what;
      notices(what === 'packing' ? 'packing the folder\n' : 'sending the package\n');
    },
    accepted: (build, isNew) => notices(describeAccepted(build, isNew)),
    record: (record) => log(text.add(record)),
    build(build) {
      if (build.state === 'waiting' && state === 'running') notices('it will be tried again\n');
      const why = build.state === 'waiting' ? describeWaiting(build) : '';
      const place = describePlace(build);
      if (why !== '' && why !== waiting) notices(place === '' ? `${why}\n` : `${why} (${place})\n`);
      waiting = why;
      state = build.state;
    },
    disconnected: () => notices('the manager is away; trying to reach it again\n'),
    connected: () => notices('the manager is back\n'),
    end: () => log(text.end()),
  };
}
