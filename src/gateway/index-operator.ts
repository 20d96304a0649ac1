import type { PointerMove } from '../spec/generations.ts';
import type { Caller } from '../spec/identity.ts';
import type { IndexAdmin, MoveOrder } from '../spec/index-admin.ts';

/** Generations in the hands of whoever calls: the records say who moved a pointer. */
export interface IndexOperator extends Omit<IndexAdmin, 'promote' | 'rollBack'> {
	promote(order: Omit<MoveOrder, 'actor'>, by: Caller): Promise<PointerMove>;
	rollBack(
		order: Omit<MoveOrder, 'actor' | 'generation'> & { readonly generation: string | null },
		by: Caller,
	): Promise<PointerMove>;
}
