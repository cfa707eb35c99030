import { limits } from './limits.ts';

const { registryNameShortest, registryNameLongest, nameLongest } = limits;
const registryShape = new RegExp(`^[a-zA-Z0-9]{${registryNameShortest.value},${registryNameLongest.value}}$`);
const nameShape = new RegExp(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,${nameLongest.value - 1}}$`);

/** Of a connected registry. */
export function isRegistryName(text: string): boolean {
  return registryShape.test(text);
}

/** Of a token, a scope map or a password. No colon, which ends the user name in Basic authentication. */
export function isName(text: string): boolean {
  return nameShape.test(text);
}
