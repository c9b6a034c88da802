// A service that greets. Each request is answered by a fresh instance of it.

/** Answers a request. To call other services, use `fetch`. */
export async function answer(request) {
  const { pathname } = new URL(request.url);
  // What is printed is in `sampan logs`.
  console.log(`${request.method} ${pathname}`);
  return new Response(greeting(pathname));
}

function greeting(path) {
  return `Hello from JavaScript! You asked for ${path}\n`;
}

// Tests, which run in Node.js, call `answer` themselves.
globalThis.addEventListener?.('fetch', (event) => event.respondWith(answer(event.request)));
