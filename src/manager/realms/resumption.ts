import { resumeRefusals, type LeaseClaim } from '../../contract/extensions.ts';
import type { LeaseStore, ResumedTry, ResumeProof } from '../../store/index.ts';
import { buildFailure } from '../build-failure.ts';
import { hashSecret } from '../secrets/tokens.ts';

/** Whether a worker that lost its connection may go on with its build. */

export interface ResumptionDependencies {
  readonly leases: Pick<LeaseStore, 'resume' | 'forsake'>;
  readonly manager: string;
}

export interface Resumption {
  /** The try, which is ours from now on; or why not, as the URI and the words of an ABORT. */
  readonly resume: (claim: LeaseClaim, realm: string) => Promise<ResumedTry | ResumeRefusal>;
  /** `false`: the try had ended, or is not the worker's to give up. */
  readonly forsake: (claim: LeaseClaim) => Promise<boolean>;
}

interface ResumeRefusal {
  readonly uri: string;
  readonly message: string;
}

export function createResumption({ leases, manager }: ResumptionDependencies): Resumption {
  return {
    async resume(claim, realm) {
      const answer = await leases.resume(proofOf(claim), { realm, manager });
      if (typeof answer !== 'string') return answer;
      switch (answer) {
        case 'unknown':
          return { uri: resumeRefusals.unknown, message: 'there is no such try in this realm' };
        case 'cancelled':
          return { uri: resumeRefusals.cancelled, message: 'the build was cancelled' };
        default:
          return { uri: resumeRefusals.ended, message: `the try has ended: ${answer}` };
      }
    },
    forsake: (claim) => leases.forsake(proofOf(claim), FORSAKEN),
  };
}

const FORSAKEN = buildFailure(
  'internalerror',
  'The worker gave the build up: it was stopped, or did not reach a manager in time.',
);

/** The token itself is compared with nothing: what is looked up is the hash of 256 random bits. */
function proofOf(claim: LeaseClaim): ResumeProof {
  return { buildId: claim.build, try: claim.try, hash: hashSecret(claim.lease_token) };
}
