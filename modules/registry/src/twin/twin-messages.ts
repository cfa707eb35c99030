import { isJsonObject } from './merge-patch.ts';
import { messageOf, TwinError } from './twin-error.ts';

/** How a refusal reads once it went through the SDK, which keeps nothing but an error's message. */
const refusal = /^twin request refused with status (\d+)/;

/** What an operation of the SDK failed with: a refusal with its status, or the connection. */
export function asTwinError(error: unknown): TwinError {
  if (error instanceof TwinError) return error;
  const message = messageOf(error);
  const status = refusal.exec(message)?.[1];
  return status === undefined
    ? new TwinError('OFFLINE', message, { cause: error })
    : new TwinError('REFUSED', message, { status: Number(status), cause: error });
}

/**
 * The payload the SDK may see for a message on `topic`; undefined: keep the message from it.
 * The SDK ignores the status of twin answers unless the body holds an `errorCode`, and a body that is not what it
 * expects is an exception inside its event handler, which ends the process.
 */
export function safePayload(topic: string, payload: Buffer): Buffer | undefined {
  const status = /^\$iothub\/twin\/res\/(\d+)\//.exec(topic)?.[1];
  if (status !== undefined) return safeAnswer(Number(status), payload);
  if (topic.startsWith('$iothub/twin/')) return isJsonObject(parse(payload)) ? payload : undefined;
  // An empty request body is allowed (IoT Hub, "Direct methods"); the SDK answers 400 to it by itself.
  if (topic.startsWith('$iothub/methods/POST/') && payload.length === 0) return Buffer.from('null');
  return payload;
}

function safeAnswer(status: number, payload: Buffer): Buffer {
  const body = parse(payload);
  if (status < 300 && isJsonObject(body)) return payload;
  if (status < 300 && payload.length === 0) return Buffer.from('{}');
  const reason = isJsonObject(body) && typeof body['message'] === 'string' ? `: ${body['message']}` : '';
  const shown = status < 300 ? 502 : status;
  return Buffer.from(
    JSON.stringify({ errorCode: shown, message: `twin request refused with status ${shown}${reason}` }),
  );
}

function parse(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
