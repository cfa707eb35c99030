import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { createLog, levelFromRuntime } from '../../modules/registry/src/status/create-log.ts';
import type { LogLevel } from '../../modules/registry/src/settings/settings.ts';
import { ManualClock } from '../helpers/manual-clock.ts';

function printed(level?: LogLevel) {
  const stream = new PassThrough();
  stream.setEncoding('utf8');
  const log = createLog({ stream, clock: new ManualClock('2026-11-23T09:00:00.000Z'), ...(level && { level }) });
  return { log, text: () => (stream.read() as string | null) ?? '' };
}

describe('createLog()', () => {
  it("prints edgeHub's line form", () => {
    const { log, text } = printed();
    log.info('started');
    expect(text()).to.equal('<6> 2026-11-23 09:00:00.000 +00:00 [INF] - started\n');
  });

  it('marks each severity', () => {
    const { log, text } = printed('Debug');
    for (const severity of ['fatal', 'error', 'warn', 'info', 'debug'] as const) log[severity]('x');
    expect(text().match(/^<\d>|\[...]/gm)).to.deep.equal([
      '<0>',
      '[FTL]',
      '<3>',
      '[ERR]',
      '<4>',
      '[WRN]',
      '<6>',
      '[INF]',
      '<7>',
      '[DBG]',
    ]);
  });

  it('appends fields, plain where possible, JSON where not, none that is undefined', () => {
    const { log, text } = printed();
    log.warn('odd', { repository: 'plant/hello', count: 3, text: 'a "b"', list: [1], none: undefined, nothing: null });
    expect(text()).to.match(/ - odd repository=plant\/hello count=3 text="a \\"b\\"" list=\[1\] nothing=null\n$/);
  });

  it('tells errors with their causes', () => {
    const { log, text } = printed();
    log.error('failed', { error: new Error('outer', { cause: new Error('inner') }) });
    expect(text()).to.match(/ - failed error="outer: inner"\n$/);
  });

  it('hides secrets in text, keys, values and errors', () => {
    const { log, text } = printed();
    log.info('with SyncTokenPassword=s3cret1;x', {
      password: 's3cret2',
      url: 'http://u:s3cret3@h/',
      error: new Error('refused', { cause: new Error('Authorization: Basic s3cret4') }),
    });
    expect(text()).not.to.match(/s3cret/);
  });

  it('prints one line an event, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'binary' }),
        fc.jsonValue(),
        (message, key, value) => {
          const { log, text } = printed();
          log.info(`${message}\n\u001b[2J`, { [key]: value, other: message });
          expect(text()).to.match(/^<6> [^\u0000-\u001f\u007f\u0085\u2028]*\n$/);
        },
      ),
    );
  });

  it('setLevel() takes effect with the next line', () => {
    const { log, text } = printed();
    log.debug('1');
    log.setLevel('Debug');
    log.debug('2');
    log.setLevel('Error');
    log.warn('3');
    log.error('4');
    log.setLevel('None');
    log.fatal('5');
    log.setLevel('Warning');
    log.warn('6');
    log.info('7');
    expect(text().match(/(?<= - ).*/g)).to.deep.equal(['2', '4', '6']);
  });
});

describe('levelFromRuntime()', () => {
  it('maps what IoT Edge writes', () => {
    const rows = {
      fatal: 'Error',
      error: 'Error',
      warning: 'Warning',
      Info: 'Information',
      debug: 'Debug',
      verbose: 'Debug',
      'edge_hub=debug,warning': 'Warning',
      loud: 'Information',
      '': 'Information',
    };
    for (const [text, level] of Object.entries(rows)) expect(levelFromRuntime(text), text).to.equal(level);
    expect(levelFromRuntime(undefined)).to.equal('Information');
  });
});
