import { describeClient } from './client-contract.ts';
import { startContainersTool } from './containers-tools.ts';

describeClient({
  name: 'podman',
  needs: ['podman', 'nginx', 'root'],
  start: (stand) => startContainersTool('podman', stand),
  resumes: 'never',
});
