import { Hono } from 'hono';

const app = new Hono();
app.get('/', (context) => context.text('Hello from JavaScript!\n'));
app.fire();
