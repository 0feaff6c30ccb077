//! HTTP/2 by hand: frames as anybody may write them, and what a server says back (RFC 9113 §4, RFC 7541).

/// The kinds of frames (RFC 9113 §6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
/// A header section that is whole, of a request that is.
pub(crate) const WHOLE: u8 = END_HEADERS | END_STREAM;

/// The connection preface, and settings by which the server's compression keeps no table.
pub(crate) fn preface() -> Vec<u8> {
    let settings = frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings].concat()
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a length")
        .to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A length of so many bits' prefix (RFC 7541 §5.1).
fn integer(bytes: &mut Vec<u8>, first: u8, bits: u32, mut value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        return bytes.push(first | u8::try_from(value).expect("a prefix"));
    }
    bytes.push(first | u8::try_from(most).expect("a prefix"));
    value -= most;
    while value >= 128 {
        bytes.push(u8::try_from(value % 128 + 128).expect("a byte"));
        value /= 128;
    }
    bytes.push(u8::try_from(value).expect("a byte"));
}

/// Fields as literals without indexing, with whatever name and value (RFC 7541 §6.2.2).
pub(crate) fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, 0, 7, text.len());
            bytes.extend(text.bytes());
        }
    }
    bytes
}

/// A field that is kept in the table, and how often it is named again by one byte each (RFC 7541 §6.2.1, §6.1).
pub(crate) fn bomb(value: usize, times: usize) -> Vec<u8> {
    let mut bytes = vec![0x40, 1, b'x'];
    integer(&mut bytes, 0, 7, value);
    bytes.extend(vec![b'y'; value]);
    bytes.extend(vec![0xbe; times]);
    bytes
}

/// What a server said, in order and without what every connection has: `1:200`, `1:rst 1`, `goaway 1`.
pub(crate) fn said(mut bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let Some((payload, rest)) =
            rest.split_at_checked(usize::try_from(length).expect("a length"))
        else {
            break;
        };
        bytes = rest;
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("a code"));
        match head[3] {
            HEADERS => all.push(format!("{stream}:{}", status(payload))),
            RST_STREAM => all.push(format!("{stream}:rst {}", code(0))),
            GOAWAY => all.push(format!("goaway {}", code(4))),
            _ => {}
        }
    }
    all
}

/// The status that a header section begins with.
fn status(mut section: &[u8]) -> String {
    // Table size updates.
    while let Some(rest) = section
        .split_first()
        .filter(|(byte, _)| **byte & 0xe0 == 0x20)
    {
        section = rest.1;
    }
    match section {
        [indexed @ 0x88..=0x8e, ..] => ["200", "204", "206", "304", "400", "404", "500"]
            [usize::from(*indexed) - 0x88]
            .to_owned(),
        // `:status`, and its value as it is or by the Huffman code, of which digits have five bits or six.
        [0x08 | 0x18 | 0x48, length, text @ ..] if length & 0x80 == 0 => {
            String::from_utf8_lossy(&text[..usize::from(*length)]).into_owned()
        }
        [0x08 | 0x18 | 0x48, length, text @ ..] => {
            let text = &text[..usize::from(length & 0x7f)];
            let bits: String = text.iter().map(|byte| format!("{byte:08b}")).collect();
            digits(&bits)
        }
        other => format!("{other:?}"),
    }
}

/// Three digits of the Huffman code (RFC 7541 appendix B): `0` to `2` are 00000 to 00010, `3` to `9` are 011001 to 011111.
fn digits(mut bits: &str) -> String {
    let mut text = String::new();
    while text.len() < 3 {
        let length = if bits.starts_with("000") { 5 } else { 6 };
        let (code, rest) = bits.split_at(length);
        let code = u32::from_str_radix(code, 2).expect("bits");
        let digit = if length == 5 {
            code
        } else {
            code - 0b01_1001 + 3
        };
        text.push(char::from_digit(digit, 10).expect("a digit"));
        bits = rest;
    }
    text
}

#[test]
fn rfc_7541_a_status_is_read_as_the_server_writes_it() {
    assert_eq!(status(&[0x88]), "200");
    assert_eq!(status(&[0x20, 0x8c]), "400");
    assert_eq!(status(&[0x48, 3, b'4', b'0', b'3']), "403");
    // 011010 00000 011001, and ones to the end.
    assert_eq!(
        status(&[0x20, 0x08, 0x83, 0b0110_1000, 0b0000_1100, 0b1111_1111]),
        "403"
    );
    assert_eq!(
        said(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11])),
        ["goaway 11"]
    );
}
