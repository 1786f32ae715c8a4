local theca = Proto("theca", "Theca pump protocol")
local DECODED = "Frame without COBS"

-- bit32 is Lua 5.2; later ones have the operator, which 5.2 cannot even parse.
local xor = bit32 and bit32.bxor or load("return function(a, b) return a ~ b end")()

local CRC_TABLE = {}
for index = 0, 255 do
    local crc = index
    for _ = 1, 8 do
        local low = crc % 2
        crc = (crc - low) / 2
        if low == 1 then crc = xor(crc, CRC_POLYNOMIAL_REFLECTED) end
    end
    CRC_TABLE[index] = crc
end

local function crc32c(text)
    local crc = CRC_INITIAL
    for position = 1, #text do
        local low = crc % 256
        crc = xor(CRC_TABLE[xor(low, text:byte(position))], (crc - low) / 256)
    end
    return xor(crc, CRC_FINAL_XOR)
end

-- The decoded text, or nil and what is wrong.
local function undo_cobs(text)
    local pieces, position = {}, 1
    while position <= #text do
        local code = text:byte(position)
        local last = position + code - 1
        if last > #text then
            local fault = "the length byte at %d points %d bytes behind the end"
            return nil, string.format(fault, position - 1, last - #text)
        end
        local block = text:sub(position + 1, last)
        if code == 0 or block:find("\0", 1, true) then return nil, "a zero within the frame" end
        pieces[#pieces + 1] = block
        position = last + 1
        if code < 255 and position <= #text then pieces[#pieces + 1] = "\0" end
    end
    return table.concat(pieces)
end

-- Well-formed UTF-8, RFC 3629 section 4.
local UTF8 = {
    "^[\0-\127]+", "^[\194-\223][\128-\191]", "^\224[\160-\191][\128-\191]",
    "^[\225-\236\238\239][\128-\191][\128-\191]", "^\237[\128-\159][\128-\191]",
    "^\240[\144-\191][\128-\191][\128-\191]", "^[\241-\243][\128-\191][\128-\191][\128-\191]",
    "^\244[\128-\143][\128-\191][\128-\191]",
}
local function is_utf8(text)
    local position = 1
    while position <= #text do
        local last
        for _, pattern in ipairs(UTF8) do
            last = last or select(2, text:find(pattern, position))
        end
        if not last then return false end
        position = last + 1
    end
    return true
end

local FTYPES = {
    u8 = ftypes.UINT8, u16 = ftypes.UINT16, u32 = ftypes.UINT32, u64 = ftypes.UINT64,
    i8 = ftypes.INT8, i16 = ftypes.INT16, i32 = ftypes.INT32, i64 = ftypes.INT64,
    f32 = ftypes.FLOAT, f64 = ftypes.DOUBLE, text = ftypes.STRING, bytes = ftypes.BYTES, tail = ftypes.BYTES,
    records = ftypes.NONE,
}

local registered = {}
local function register(...)
    registered[#registered + 1] = ProtoField.new(...)
    return registered[#registered]
end

local shown = {
    message = register("Message", "theca.message", ftypes.STRING),
    major = register("Major version", "theca.major", ftypes.UINT8, nil, base.DEC, 0xF0),
    flags = register("Flags", "theca.flags", ftypes.UINT8, nil, base.HEX, 0x0F),
    trailer = register("Trailer present", "theca.flags.trailer", ftypes.BOOLEAN, nil, 8, FLAG_TRAILER),
    type = register("Type", "theca.type", ftypes.UINT8, TYPES, base.HEX),
    seq = register("Sequence", "theca.seq", ftypes.UINT16, nil, base.DEC),
    length = register("Payload length", "theca.length", ftypes.UINT16, nil, base.DEC),
    payload = register("Payload", "theca.payload", ftypes.BYTES),
    counter = register("Trailer counter", "theca.trailer.counter", ftypes.UINT32, nil, base.DEC),
    tag = register("Trailer tag", "theca.trailer.tag", ftypes.BYTES),
    crc = register("CRC-32C", "theca.crc", ftypes.UINT32, nil, base.HEX),
}

local function register_fields(fields, prefix)
    for _, field in ipairs(fields) do
        local abbreviation = prefix .. "." .. field.name
        local kind = FTYPES[field.kind]
        local display = field.flags and base.HEX or field.kind:find("^[ui]%d") and base.DEC or base.NONE
        field.shown = register(field.name, abbreviation, kind, field.values, display, nil, field.about)
        for _, flag in ipairs(field.flags or {}) do
            local name = abbreviation .. "." .. flag.name
            flag.shown = register(flag.name, name, ftypes.BOOLEAN, nil, 8 * field.size, flag.mask)
        end
        if field.record then register_fields(field.record.fields, abbreviation) end
    end
end
for _, message in pairs(MESSAGES) do register_fields(message.fields, "theca." .. message.name) end
theca.fields = registered

local rejects = {}
for name, meaning in pairs(REJECTS) do
    local group, severity = expert.group.MALFORMED, expert.severity.ERROR
    rejects[name] = ProtoExpert.new("theca.reject." .. name:lower(), meaning, group, severity)
end
theca.experts = rejects

local show_fields

local function show_records(records, tvb, tree, reject)
    local number, size = 0, records.record.bytes
    for start = records.offset, tvb:len() - size, size do
        local range, place = tvb(start, size), records.name .. "[" .. number .. "]"
        local item = tree:add(records.shown, range)
        item:set_text(place)
        show_fields(records.record.fields, range:tvb(), item, function(name, detail)
            return reject(name, place .. "." .. detail)
        end)
        number = number + 1
    end
end

function show_fields(fields, tvb, tree, reject)
    for _, field in ipairs(fields) do
        local size = field.kind == "tail" and tvb:len() - field.offset or field.size
        if field.record then
            show_records(field, tvb, tree, reject)
        elseif size > 0 then
            local range = tvb(field.offset, size)
            if field.kind == "text" then
                local text = tvb:raw(field.offset, size):gsub("\0+$", "")
                if not is_utf8(text) then
                    reject("PAYLOAD", field.name .. " is not UTF-8")
                    text = text:gsub("[\128-\255]", "?")
                end
                tree:add(field.shown, range, text)
            else
                local item = tree:add_le(field.shown, range)
                for _, flag in ipairs(field.flags or {}) do item:add_le(flag.shown, range) end
            end
        end
    end
end

-- What is wrong with the length of a payload, or nil.
local function length_fault(message, tvb)
    local size = tvb and tvb:len() or 0
    if size < message.bytes or size > message.bytes and not message.has_tail then
        return string.format("%s has %d bytes of payload, not %d", message.name, message.bytes, size)
    end
    local counted = message.counted
    if not counted then return nil end
    local count = tvb(counted.offset, message.bytes - counted.offset):le_uint()
    local needed = message.bytes + count * counted.record_bytes
    if size ~= needed then
        local fault = "%s announces %d records, that is %d bytes of payload, not %d"
        return string.format(fault, message.name, count, needed, size)
    end
end

local function show_payload(type_byte, tvb, tree, reject)
    local message = MESSAGES[type_byte]
    if not message then return reject("UNKNOWN_TYPE", string.format("message type 0x%02X is unknown", type_byte)) end
    local fault = length_fault(message, tvb)
    if fault then return reject("PAYLOAD", fault) end
    if tvb then show_fields(message.fields, tvb, tree, reject) end
end

local function show_frame(raw, tree, pinfo, reject)
    local size = #raw
    if size < HEADER_BYTES + CRC_BYTES then
        return reject("SHORT", string.format("%d bytes, the smallest frame has %d", size, HEADER_BYTES + CRC_BYTES))
    end
    local tvb = ByteArray.new(raw, true):tvb(DECODED)
    local flags = raw:byte(1) % 16
    local major = (raw:byte(1) - flags) / 16
    local type_byte = raw:byte(2)
    local seq, length = tvb(2, 2):le_uint(), tvb(4, 2):le_uint()
    local name = TYPES[type_byte] or string.format("type 0x%02X", type_byte)
    tree:add(shown.message, tvb(1, 1), name)
    tree:add(shown.major, tvb(0, 1))
    tree:add(shown.flags, tvb(0, 1)):add(shown.trailer, tvb(0, 1))
    tree:add(shown.type, tvb(1, 1))
    tree:add_le(shown.seq, tvb(2, 2))
    tree:add_le(shown.length, tvb(4, 2))
    pinfo.cols.info = string.format("%s seq %d", name, seq)

    local computed, received = crc32c(raw:sub(1, size - CRC_BYTES)), tvb(size - CRC_BYTES, CRC_BYTES):le_uint()
    local finish = size - CRC_BYTES
    local announced = flags % (2 * FLAG_TRAILER) >= FLAG_TRAILER
    local has_trailer = announced and finish - HEADER_BYTES >= TRAILER_BYTES
    if has_trailer then finish = finish - TRAILER_BYTES end
    local payload_bytes = finish - HEADER_BYTES
    local item = tree
    if payload_bytes > 0 then item = tree:add(shown.payload, tvb(HEADER_BYTES, payload_bytes)) end
    if has_trailer then
        tree:add_le(shown.counter, tvb(finish, 4))
        tree:add(shown.tag, tvb(finish + 4, TRAILER_BYTES - 4))
    end
    tree:add_le(shown.crc, tvb(size - CRC_BYTES, CRC_BYTES))

    if computed ~= received then
        return reject("CRC", string.format("computed 0x%08X, received 0x%08X", computed, received))
    elseif flags - (announced and FLAG_TRAILER or 0) ~= 0 then
        return reject("VERSION", string.format("flags 0x%X, known are 0x%X", flags, FLAG_TRAILER))
    elseif major ~= MAJOR and not ANY_MAJOR[type_byte] then
        return reject("VERSION", string.format("major version %d, ours is %d", major, MAJOR))
    elseif announced and not has_trailer then
        return reject("LENGTH", string.format("a trailer of %d bytes is announced and missing", TRAILER_BYTES))
    elseif length ~= payload_bytes then
        local fault = "the length field says %d, the payload has %d bytes"
        return reject("LENGTH", string.format(fault, length, payload_bytes))
    elseif length > MAX_PAYLOAD_BYTES then
        return reject("LENGTH", string.format("a payload has at most %d bytes, not %d", MAX_PAYLOAD_BYTES, length))
    end
    show_payload(type_byte, payload_bytes > 0 and tvb(HEADER_BYTES, payload_bytes):tvb() or nil, item, reject)
end

function theca.dissector(tvb, pinfo, tree)
    pinfo.cols.protocol = "THECA"
    pinfo.cols.info = "nothing but zeros"
    local subtree = tree:add(theca, tvb())
    local encoded = tvb:raw():gsub("^\0+", ""):gsub("\0+$", "")
    if encoded == "" then return end
    local function reject(name, detail)
        subtree:add_proto_expert_info(rejects[name], REJECTS[name] .. ": " .. detail)
        pinfo.cols.info:append(" [" .. REJECTS[name] .. "]")
    end
    pinfo.cols.info = "no frame"
    if #encoded > MAX_ENCODED_BYTES then
        return reject("TOO_LONG", string.format("more than %d bytes without a zero", MAX_ENCODED_BYTES))
    end
    local raw, fault = undo_cobs(encoded)
    if not raw then return reject("COBS", fault) end
    show_frame(raw, subtree, pinfo, reject)
end

DissectorTable.get("wtap_encap"):add((wtap_encaps or wtap).USER0, theca)
