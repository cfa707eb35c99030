import { describeClient } from './client-contract.ts';
import { startContainersTool } from './containers-tools.ts';

describeClient({
  name: 'buildah',
  needs: ['buildah', 'nginx', 'root'],
  start: (stand) => startContainersTool('buildah', stand),
  resumes: 'never',
});
