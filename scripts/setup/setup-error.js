/** A failure with a message for people; anything else that is thrown is a fault of the set-up itself. */
export class SetupError extends Error {}
