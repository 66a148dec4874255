// A peer listens on a free port of loopback, says where in one line of JSON, and
// ends with whoever started it: when its standard input is closed.
import http from 'node:http';

export const options = JSON.parse(process.argv[2] ?? '{}');

/** Listens, and returns the URL. Nobody is told of it before announce. */
export async function listen(server = http.createServer()) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

/** Tells whoever started this peer where it is. */
export function announce(url) {
  process.stdin.resume().on('end', () => process.exit(0));
  process.stdout.write(JSON.stringify({ url }) + '\n');
}
