// A service that greets. Each request is answered by a fresh instance of it.

/** Answers a request. To call other services, use `fetch`. */
export async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  // What is printed is in `sampan logs`.
  console.log(`${request.method} ${pathname}`);
  return new Response(greeting(pathname));
}

function greeting(path: string): string {
  return `Hello from TypeScript! You asked for ${path}\n`;
}

interface FetchEvent extends Event {
  request: Request;
  respondWith(response: Promise<Response>): void;
}

// Tests, which run in Node.js, call `answer` themselves.
globalThis.addEventListener?.('fetch', (event) => {
  const { request, respondWith } = event as FetchEvent;
  respondWith.call(event, answer(request));
});
