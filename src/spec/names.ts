/** What stands where there is nothing to name: no name of ours has brackets. */
export const NONE = '(none)';
/** What stands for all names beyond those that are told apart, wherever they are counted or listed. */
export const OTHER = '(other)';
