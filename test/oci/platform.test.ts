import { expect } from 'chai';
import type { Descriptor, Platform } from '../../modules/registry/src/oci/manifest.ts';
import { parsePlatform, wantsPlatform } from '../../modules/registry/src/oci/platform.ts';
import { descriptorOf } from '../helpers/images.ts';

const child = (platform?: Platform): Descriptor => ({
  ...descriptorOf(Buffer.from('child'), 'application/vnd.oci.image.manifest.v1+json'),
  ...(platform && { platform }),
});

function platform(text: string): Platform {
  const parsed = parsePlatform(text);
  if (!parsed) throw new Error(`${text} is not a platform`);
  return parsed;
}

describe('parsePlatform()', () => {
  it('reads os, architecture and variant', () => {
    expect(parsePlatform('linux/amd64')).to.deep.equal({ os: 'linux', architecture: 'amd64' });
    expect(parsePlatform('linux/arm/v7')).to.deep.equal({ os: 'linux', architecture: 'arm', variant: 'v7' });
  });

  for (const text of [
    '',
    'linux',
    'linux/',
    '/amd64',
    'linux/arm/',
    'linux/arm/v7/x',
    'Linux/amd64',
    'linux/*',
    ' linux/arm',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parsePlatform(text)).to.equal(undefined));
  }
});

describe('wantsPlatform()', () => {
  const rows = [
    ['linux/amd64', 'linux/amd64', true],
    ['linux/amd64', 'linux/arm64', false],
    ['linux/amd64', 'windows/amd64', false],
    ['linux/arm', 'linux/arm/v7', true],
    ['linux/arm/v7', 'linux/arm/v6', false],
    ['linux/arm/v7', 'linux/arm', true],
    ['linux/arm/v6', 'linux/arm', false],
    ['linux/arm64/v8', 'linux/arm64', true],
    ['linux/amd64/v3', 'linux/amd64', false],
  ] as const;
  for (const [wanted, offered, expected] of rows) {
    it(`says ${expected} for ${offered}, wanted ${wanted}`, () => {
      expect(wantsPlatform([platform(wanted)], child(platform(offered)))).to.equal(expected);
    });
  }

  it('wants everything without a filter', () => {
    expect(wantsPlatform([], child(platform('windows/amd64')))).to.equal(true);
  });

  it('wants what any of several platforms wants', () => {
    const filter = [platform('linux/amd64'), platform('linux/arm64')];
    expect(wantsPlatform(filter, child(platform('linux/arm64')))).to.equal(true);
    expect(wantsPlatform(filter, child(platform('linux/s390x')))).to.equal(false);
  });

  it('wants attestations and children without a platform', () => {
    const filter = [platform('linux/amd64')];
    expect(wantsPlatform(filter, child({ os: 'unknown', architecture: 'unknown' }))).to.equal(true);
    expect(wantsPlatform(filter, child())).to.equal(true);
  });
});
