-- The peer's redaction: what the policy of setup.rs does to a page for this one caller, written as a team would write it
-- into nginx. It decodes the whole answer, drops and edits rows, and encodes what is left. It knows the caller and the
-- policy by heart: no token is checked, no rule is read, nothing is audited.
local cjson = require "cjson.safe"

local null = cjson.null
local REPORTS = { ann = true, cyd = true, dee = true }
local REGIONS = { emea = true }
local CLEAR = {
    "id", "organization_id", "app_id", "owner_id", "account_id", "name", "email", "phone", "birthday", "region", "stage",
    "amount", "legal_hold", "created_at",
}
local MASKED = { "id", "name", "stage", "region", "account_id" }

local function copied(record, fields)
    local out = {}
    for i = 1, #fields do
        out[fields[i]] = record[fields[i]]
    end
    return out
end

local function partial(text)
    if type(text) ~= "string" then return nil end
    local at = string.find(text, "@", 1, true)
    if not at then return nil end
    return string.sub(text, 1, 1) .. "***" .. string.sub(text, at)
end

local function last4(text)
    if text == null then return null end
    if type(text) ~= "string" then return nil end
    if #text < 8 then return "***" end
    return "***" .. string.sub(text, -4)
end

local function judged(record, tenant)
    if record.organization_id ~= "acme" or record.app_id ~= tenant or record.legal_hold ~= false then return nil end
    if REPORTS[record.owner_id] then return copied(record, CLEAR) end
    if not REGIONS[record.region] then return nil end
    local out = copied(record, MASKED)
    out.email = partial(record.email)
    out.phone = last4(record.phone)
    return out
end

local function redacted(body, tenant)
    local document = cjson.decode(body)
    if type(document) ~= "table" or type(document.data) ~= "table" then return nil end
    local rows = {}
    for _, record in ipairs(document.data) do
        local shown = judged(record, tenant)
        if shown then rows[#rows + 1] = shown end
    end
    -- An empty table would be encoded as an object.
    if #rows == 0 then return nil end
    return cjson.encode({ data = rows })
end

local filter = {}

-- nginx asks chunk by chunk; what is larger than the limit is refused, as every gateway must.
function filter.body()
    local chunk, last, held = ngx.arg[1], ngx.arg[2], ngx.ctx.held
    if not held then
        held = {}
        ngx.ctx.held = held
    end
    held[#held + 1] = chunk
    if not last then
        ngx.arg[1] = nil
        return
    end
    ngx.arg[1] = redacted(table.concat(held), ngx.var.arg_app_id) or '{"data":[]}'
end

return filter
