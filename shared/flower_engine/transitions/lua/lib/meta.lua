-- What most scripts need of the partition's hash meta, read by one command. `current_generation` is to be
-- compared with the caller's before anything else.
-- needs: base, keys
-- layer: 1
local current_generation, tick_mark, skew_mark, control_mark, fanout_mark, order_mark, kept_mark =
  unpack(call('HMGET', meta_key(), 'generation', 'tick', 'skew', 'control', 'fanout', 'order', 'kept'))
local SIGNED_OFF = '9007199254740991' -- number of the last call of a worker that handed everything back
