import type { Build } from '../../contract/api.ts';
import type { FollowView } from '../client/follow.ts';
import type { SendProgress } from '../submit/upload.ts';

/** How a build's progress is shown, from packing its source to its end. */
export interface ProgressView extends FollowView {
  sending(progress: SendProgress): void;
  /** The manager has the build: it was submitted now, or an earlier one has its `dedupe_key`. */
  accepted(build: Build, isNew: boolean): void;
  /** Nothing more comes: leaves the terminal as it should be. Calling it again does nothing. */
  end(): void;
}
