import type { Feedback, FeedbackQuery } from '../spec/feedback.ts';
import type { Caller } from '../spec/identity.ts';

/** Whose ratings are to go; null: whichever. */
export interface FeedbackRemoval {
	readonly tenantId: string;
	readonly requestId: string | null;
	/** As the application names the user. */
	readonly user: string | null;
}

/** What an operator can do with ratings. */
export interface FeedbackOperator {
	/** Newest first. */
	list(query: FeedbackQuery): Promise<readonly Feedback[]>;
	/** How many there were; told to the audit log. */
	remove(which: FeedbackRemoval, by: Caller): Promise<number>;
}
