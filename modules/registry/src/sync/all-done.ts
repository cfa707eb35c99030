/** Like `Promise.all`, but waits for every one of them, so that nothing runs on after it has thrown. */
export async function allDone<const Tasks extends readonly unknown[]>(
  tasks: Tasks,
): Promise<{ -readonly [Index in keyof Tasks]: Awaited<Tasks[Index]> }> {
  await Promise.allSettled(tasks);
  return Promise.all(tasks);
}
