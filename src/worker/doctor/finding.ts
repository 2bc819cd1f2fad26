/** Something that `doctor` looked at: well, worth knowing, or in the way of builds. */
export interface Finding {
  readonly level: 'good' | 'warning' | 'bad';
  readonly what: string;
  /** What to do about it; empty where nothing need be done. */
  readonly advice: string;
}

export function good(what: string, advice = ''): Finding {
  return { level: 'good', what, advice };
}

export function warning(what: string, advice: string): Finding {
  return { level: 'warning', what, advice };
}

export function bad(what: string, advice: string): Finding {
  return { level: 'bad', what, advice };
}
