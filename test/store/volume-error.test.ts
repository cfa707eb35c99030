import { expect } from 'chai';
import { asVolumeError } from '../../modules/registry/src/store/volume-error.ts';

describe('asVolumeError()', () => {
  const withCode = (code: string): Error => Object.assign(new Error('mkdir'), { code });
  const messageOf = (error: unknown): string => (asVolumeError(error, '/data') as Error).message;

  it('names the folder, the user that must own it and the command', () => {
    const user = `${String(process.getuid?.())}:${String(process.getgid?.())}`;
    for (const code of ['EACCES', 'EPERM']) {
      expect(messageOf(withCode(code)))
        .to.match(/^the data volume \/data /)
        .and.contain(`chown -R ${user} `);
    }
  });

  it('knows what LevelDB says in its message alone, and keeps it as the cause', () => {
    const levelError = new Error('not open', { cause: new Error('IO error: /data/index/LOCK: Permission denied') });
    expect(messageOf(levelError)).to.contain('chown');
    expect((asVolumeError(levelError, '/data') as Error).cause).to.equal(levelError);
  });

  it('tells a read-only volume from a wrong owner', () => {
    expect(messageOf(withCode('EROFS')))
      .to.contain('read-only')
      .and.not.contain('chown');
  });

  it('leaves every other error alone', () => {
    const other = withCode('EIO');
    expect(asVolumeError(other, '/data')).to.equal(other);
  });
});
