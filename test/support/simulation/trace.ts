type Word = string | number;

/** Number of steps that a report shows. */
const kept = 60;

/** Records what happened: the last steps as text, and a hash of all steps. */
export class Trace {
  readonly #last: Word[][] = [];
  #hash = 2_166_136_261;

  note(...words: Word[]): void {
    this.#last.push(words);
    if (this.#last.length > 2 * kept) this.#last.splice(0, kept);
    for (const word of words) {
      const text = String(word);
      for (let at = 0; at < text.length; at++) {
        this.#hash = Math.imul(this.#hash ^ text.charCodeAt(at), 16_777_619);
      }
      this.#hash = Math.imul(this.#hash ^ 32, 16_777_619);
    }
  }

  /** FNV-1a hash of all steps, in hexadecimal digits. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  get last(): string[] {
    return this.#last.slice(-kept).map((words) => words.join(' '));
  }
}
