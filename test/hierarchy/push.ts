import { ask } from '../helpers/ask.ts';
import { pushImage, type SampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { digestOfTag, type Account } from '../helpers/pull-image.ts';
import { connectTo } from '../helpers/registry-client.ts';
import { until } from '../helpers/until.ts';

/** Pushes a whole image to the registry at `endpoint` (host:port). */
export async function push(
  endpoint: string,
  account: Account,
  name: string,
  image: SampleImage,
  version?: string,
): Promise<void> {
  const client = connectTo(endpoint, account);
  try {
    await pushImage(client, repository(name), image, version === undefined ? undefined : tag(version));
  } finally {
    await client.close();
  }
}

/** Resolves once the tag at `url` is that image; undefined: once there is no such tag. */
export async function arrives(
  url: string,
  account: Account,
  [name, version]: readonly [string, string],
  image: SampleImage | undefined,
): Promise<void> {
  const what = `${name}:${version} at ${url} is ${image?.manifest.digest ?? 'gone'}`;
  await until(what, async () => (await digestOfTag(url, account, name, version)) === image?.manifest.digest);
}

/** Resolves once the registry at `url` knows the account: its settings are in force. */
export async function knows(url: string, account: Account): Promise<void> {
  await until(`${url} knows ${account.name}`, async () => (await ask(`${url}/v2/`, account)).status === 200);
}
