/** A problem of the node itself: a reason for the condition, and a sentence with the remedy. */
export interface Problem {
  reason: string;
  message: string;
}
