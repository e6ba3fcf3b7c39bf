/** What was found in a file that somebody brought from DC/OS. */
export interface Finding {
  /**
   * `refusal`: the file cannot be imported. `lost`: it can, and this is not kept. `warning`: look at it. `note`: it was read in
   * another way than it is written.
   */
  weight: 'refusal' | 'lost' | 'warning' | 'note';
  /** The file, as the user named it. */
  file: string;
  /** From 1; absent where the whole file is meant. */
  line?: number;
  /** Names the field, the value and the rule. */
  message: string;
  /** What to do; absent where nothing has to be done. */
  next?: string;
}

/** `config.yaml:12: refused: message; next` */
export const findingText = ({ weight, file, line, message, next }: Finding): string => {
  const words = { refusal: 'refused', lost: 'not kept', warning: 'warning', note: 'note' };
  const place = line === undefined ? file : `${file}:${line}`;
  return `${place}: ${words[weight]}: ${message}${next === undefined ? '' : `; ${next}`}`;
};

/** Collects what is found in one file. */
export class Findings {
  readonly file: string;
  readonly all: Finding[] = [];

  constructor(file: string) {
    this.file = file;
  }

  add(weight: Finding['weight'], line: number | undefined, message: string, next?: string): void {
    this.all.push({
      weight,
      file: this.file,
      ...(line === undefined ? {} : { line }),
      message,
      ...(next === undefined ? {} : { next }),
    });
  }

  refuse(line: number | undefined, message: string, next: string): void {
    this.add('refusal', line, message, next);
  }

  get refused(): boolean {
    return this.all.some(({ weight }) => weight === 'refusal');
  }
}

/** A value as a message shows it: one line, not too long. */
export const quoted = (text: string): string => {
  const flat = text.replace(/\s+/g, ' ').trim();
  return `"${flat.length > 60 ? `${flat.slice(0, 57)}…` : flat}"`;
};
