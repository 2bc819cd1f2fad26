/** The waiting builds of a namespace. */
export interface QueueFigure {
  /** null: all the namespaces that are not listed by themselves. */
  readonly namespace: string | null;
  readonly waiting: number;
  /** How long the oldest that could be claimed has waited; 0 when none could. */
  readonly oldestSeconds: number;
}

export interface LeaseFigures {
  /** Tries that run. */
  readonly held: number;
  /** Of these, those whose lease has run out: their worker may come back, or their manager is gone. */
  readonly overdue: number;
  /** How long ago the first of these ran out; 0 when there is none. */
  readonly overdueSeconds: number;
}

export interface SizeFigures {
  /** Bytes on the disk of the database, by table, indexes and all. */
  readonly tables: ReadonlyMap<string, number>;
  /** Bytes of the blobs that rows name. */
  readonly packages: number;
  readonly logs: number;
}

/** How the farm stands, for who watches it. What is read costs more the more there is of it. */
export interface FigureStore {
  /** The namespaces with the most waiting builds, at most so many, and one more for all others. */
  queue(namespaces: number): Promise<readonly QueueFigure[]>;
  leases(): Promise<LeaseFigures>;
  sizes(): Promise<SizeFigures>;
}
