-- What most scripts need of the partition's hash meta, read by one command. `current_generation` is to be
-- compared with the caller's before anything else.
-- needs: base, keys
-- layer: 1
local meta_marks = call('HMGET', meta_key(), 'generation', 'tick', 'skew', 'control', 'fanout', 'order',
  'kept', 'decide')
local current_generation, tick_mark, skew_mark, control_mark, fanout_mark, order_mark = unpack(meta_marks)
-- meta_marks[7]: bytes of results that are kept; meta_marks[8]: decisions that are to be made.
local SIGNED_OFF = '9007199254740991' -- number of the last call of a worker that handed everything back
