import type { Build } from '../contract/api.ts';
import type { FollowView } from './follow.ts';
import type { SendProgress } from './upload.ts';

/** How a build's progress is shown, from packing its source to its end. */
export interface ProgressView extends FollowView {
  sending(progress: SendProgress): void;
  submitted(build: Build): void;
  /** Nothing more comes: leaves the terminal as it should be. Calling it again does nothing. */
  end(): void;
}
