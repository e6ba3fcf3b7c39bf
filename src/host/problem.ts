/** What of the node itself is not as the data path needs it: a reason for the condition, and a sentence with the remedy. */
export interface Problem {
  reason: string;
  message: string;
}
