-- What items of maps have in common comes, and changes for all of them, see common_fields.lua.
-- needs: common_fields
-- layer: 2

-- Items from that number on have this in common.
local function add_common(flow, first, last, readers, links, lane)
  local common = common_of(flow) or {}
  common[#common + 1] = { first = first, last = last, readers = readers, forgotten = 0, links = links,
    pieces = pieces_of(links), lane = lane }
  flow.common, common.is_changed, flow.dirty = common, true, true
end

-- They have other links from here on.
local function change_common_links(flow, one, links)
  one.links, one.pieces = links, pieces_of(links)
  flow.common.is_changed, flow.dirty = true, true
end

-- They are in another lane from here on.
local function change_common_lane(flow, one, lane)
  one.lane = lane
  flow.common.is_changed, flow.dirty = true, true
end
