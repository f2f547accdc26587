/** What the user gave cannot be used: a file that is not there, a text that is no JSON, an option without sense. */
export class InputError extends Error {
  override readonly name = "InputError";
  readonly code = "INPUT";

  constructor(
    /** The argument, option or path that is meant. */
    readonly input: string,
    message: string,
  ) {
    super(message);
  }
}
