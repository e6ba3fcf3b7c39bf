type Word = string | number;

/** How many of the last steps are kept for a report. */
const kept = 60;

/** What happened, in order: the last steps as text, all of them as one number. */
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

  /** FNV-1a of all steps, in hexadecimal digits. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  get last(): string[] {
    return this.#last.slice(-kept).map((words) => words.join(' '));
  }
}
