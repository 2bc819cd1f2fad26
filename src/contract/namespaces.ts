/** The highest limit of builds of a namespace that run or wait. */
export const NAMESPACE_LIMIT_MAX = 1_000_000;
