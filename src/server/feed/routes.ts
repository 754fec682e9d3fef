import { Hono } from 'hono';
import { requireAction, type ServerEnv } from '../exchange.js';
import type { Service } from '../service.js';
import { consumerRoutes } from './consumer-routes.js';
import { EventFeed, feedResponse } from './event-feed.js';
import { eventAnswer } from './feed-query.js';
import { FeedFormats } from './feed-format.js';

/** The feed: `/events`, `/consumers`. */
export function feedRoutes(service: Service): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  const feed = new EventFeed(service);
  service.metrics.gauge('imagelog_followers', 'Clients that follow the log.', () => feed.size);
  const { storeId } = service.store.stats();
  const formats = new FeedFormats(storeId);
  routes.get('/events', async (c) => {
    requireAction(c, service, 'read');
    const { store, past } = service;
    const head = (await past) ?? store.log.head.seq;
    const request = {
      query: c.req.queries(),
      accept: c.req.header('accept'),
      lastEventId: c.req.header('last-event-id'),
    };
    const answer = eventAnswer(request, { head, isPast: past !== undefined, formats });
    return answer === undefined ? c.body(null, 204) : feedResponse(c, feed, answer);
  });
  routes.route('/consumers', consumerRoutes(service, { feed, formats, storeId }));
  return routes;
}
