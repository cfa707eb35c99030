import { bundle } from './build/bundle.ts';

const [directory = 'dist'] = process.argv.slice(2);
await bundle(directory);
