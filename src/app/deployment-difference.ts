import { jsonDifferences } from '../base/json-difference.ts';
import type { Description } from '../spec/description.ts';

export interface DeploymentDifference {
	/** Such as `collections.docs.live.built.chunker.tokensMax`. */
	readonly path: string;
	/** Null where that deployment has nothing of the kind. */
	readonly here: unknown;
	readonly there: unknown;
	/** Whether the two can answer differently for it. */
	readonly matters: boolean;
}

/** In what two deployments differ. Names of generations count each one's own builds, so that they alone say nothing. */
export function deploymentDifferences(here: Description, there: Description): readonly DeploymentDifference[] {
	return jsonDifferences(here, there).map(({ path, left = null, right = null }) => ({
		...{ path, here: left, there: right },
		matters: !(/^collections\..+\.live\.generation$/.test(path) && left !== null && right !== null),
	}));
}
