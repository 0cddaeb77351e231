// Two processes on one port; the first process only starts them.
import cluster from 'node:cluster';

if (cluster.isPrimary) {
  for (let started = 0; started < 2; started += 1) cluster.fork();
  cluster.on('exit', () => process.exit(1));
} else {
  const [{ bootstrap }, { config }] = await Promise.all([import('@vendure/core'), import('./shop.mjs')]);
  await bootstrap(config);
}
