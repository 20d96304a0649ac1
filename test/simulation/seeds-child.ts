import { type Run, simulate } from './simulation.ts';

/** A process of `npm run sim` that runs the seeds which it is sent, one after the other. */
process.on('message', async (run: Run) => {
	process.send?.(await simulate(run));
});
