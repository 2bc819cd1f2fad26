import type { Logger } from 'pino';
import type { Disposables } from '../../contract/disposables.ts';
import type { ManagerMetrics } from '../metrics/metrics.ts';
import type { ManagerSettings } from '../settings.ts';

/** What each part of a manager is started with. */
export interface ManagerSurroundings {
  readonly settings: ManagerSettings;
  /** The manager's name. */
  readonly manager: string;
  readonly version: string;
  readonly dataDirectory: string;
  readonly metrics: ManagerMetrics;
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Where each part leaves how it is ended: the last that was started first. */
  readonly starting: Disposables;
}
