/** What the benchmark asks of a process of workers, which answers each with the number of workers that are connected. */
export type WorkersRequest =
  | {
      readonly type: 'connect';
      readonly url: string;
      readonly workers: number;
      readonly firstAddress: number;
    }
  | { readonly type: 'count' };

export interface WorkersReply {
  readonly connected: number;
}
