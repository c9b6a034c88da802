//! The HTTP load balancer: listeners, routes, endpoint pools, balancing, queueing, measuring.
