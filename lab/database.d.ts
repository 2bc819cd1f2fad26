interface LabDatabase {
    /** For `DATABASE_URL`. */
    readonly url: string;
    readonly name: string;
}
export interface LabDatabaseServer extends AsyncDisposable {
    /** For tests that hurt the server. */
    readonly pid: number;
    /** A database of its own with the schema in it, made from a template in some 20 ms. */
    createDatabase(): Promise<LabDatabase>;
    /** One that is empty. */
    createEmptyDatabase(): Promise<LabDatabase>;
    stop(): Promise<void>;
}
/** Starts a PostgreSQL in a temporary folder, reached through its socket alone. */
export declare function startDatabaseServer(): Promise<LabDatabaseServer>;
export {};
