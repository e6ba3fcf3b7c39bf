/** A finding in a file from DC/OS. */
export interface Finding {
  /**
   * `refusal`: the file cannot be imported. `lost`: it can, but this part is not kept. `warning`: the user should look at it.
   * `note`: it was read differently from how it is written.
   */
  weight: 'refusal' | 'lost' | 'warning' | 'note';
  /** The file, as the user named it. */
  file: string;
  /** Line number from 1; absent if the finding is about the whole file. */
  line?: number;
  /** Names the field, the value and the rule. */
  message: string;
  /** What to do; absent if nothing has to be done. */
  next?: string;
}

/** `config.yaml:12: refused: message; next` */
export const findingText = ({ weight, file, line, message, next }: Finding): string => {
  const words = { refusal: 'refused', lost: 'not kept', warning: 'warning', note: 'note' };
  const place = line === undefined ? file : `${file}:${line}`;
  return `${place}: ${words[weight]}: ${message}${next === undefined ? '' : `; ${next}`}`;
};

/** Collects the findings of one file. */
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

/** Shows a value in a message: on one line, shortened. */
export const quoted = (text: string): string => {
  const flat = text.replace(/\s+/g, ' ').trim();
  return `"${flat.length > 60 ? `${flat.slice(0, 57)}…` : flat}"`;
};
