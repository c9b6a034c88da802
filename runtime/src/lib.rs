//! Runs replicas: the engine, the compile cache, capabilities, limits, and the worker role.
