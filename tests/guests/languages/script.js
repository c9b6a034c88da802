// A guest in JavaScript with a path for each thing that a test wants it to do.

const later = (ms) => new Promise((done) => setTimeout(done, ms));

addEventListener('fetch', (event) => {
  const { pathname } = new URL(event.request.url);
  if (pathname === '/after') {
    event.respondWith(new Response('answered\n'));
    event.waitUntil(later(300).then(() => console.log('worked after the answer')));
  } else if (pathname === '/slow') {
    event.respondWith(later(200).then(() => new Response('slow\n')));
  } else if (pathname === '/throw') {
    throw new Error('thrown without an answer');
  } else if (pathname === '/lines') {
    console.log('one', 'two ä⛵');
    console.error('to the other');
    event.respondWith(new Response('said\n'));
  } else {
    event.respondWith(new Response('Hello from JavaScript!\n'));
  }
});
