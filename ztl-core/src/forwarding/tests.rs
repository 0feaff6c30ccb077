//! Fields as proxies write them, and as others would like them to be read.

use super::*;

const FRONT: &str = "By=spiffe://prod.example/front";

fn xfcc(text: &str) -> Result<Option<PassedOn>, ForwardingError> {
    Forwarding::Xfcc.read([text.as_bytes()])
}

fn who(read: Result<Option<PassedOn>, ForwardingError>) -> Result<String, ForwardingError> {
    read.map(|passed| passed.map_or_else(|| "nobody".to_owned(), |passed| passed.id.to_string()))
}

#[test]
fn t12_the_client_is_whom_the_last_element_names() {
    let cart = Ok("spiffe://prod.example/cart".to_owned());
    for text in [
        format!("{FRONT};Hash=ab;Subject=\"\";URI=spiffe://prod.example/cart"),
        format!("{FRONT};URI=\"spiffe://prod.example/cart\""),
        "by=spiffe://prod.example/front;uri=spiffe://prod.example/cart;DNS=a;DNS=b".to_owned(),
        // Somebody wrote what stands before.
        format!("By=x;URI=spiffe://prod.example/admin,{FRONT};URI=spiffe://prod.example/cart"),
        format!("By=x;URI=spiffe://prod.example/admin , {FRONT};URI=spiffe://prod.example/cart "),
        // What separates is text within a quotation, and an escaped mark does not end one.
        format!("{FRONT};Subject=\"CN=a,URI=b;\\\"c\";URI=spiffe://prod.example/cart"),
    ] {
        assert_eq!(who(xfcc(&text)), cart, "{text}");
    }
    assert_eq!(Forwarding::Xfcc.read([]), Ok(None));
    let passed = xfcc(&format!("{FRONT};URI=spiffe://prod.example/cart"));
    let by = passed.expect("read").expect("somebody").by.expect("by");
    assert_eq!(by.as_str(), "spiffe://prod.example/front");
}

#[test]
fn t12_what_is_no_single_client_is_nobody_s() {
    use ForwardingError::{Form, Id, Lines, Nobody, Quotation, TooLong, TooMany, Twice};
    type Expected = fn(&ForwardingError) -> bool;
    let cases: [(String, Expected); 16] = [
        (String::new(), |error| matches!(error, Form(_))),
        (format!("{FRONT};Hash=ab"), |error| *error == Nobody),
        (format!("{FRONT};URI="), |error| *error == Nobody),
        (format!("{FRONT};URI=https://a/b"), |error| {
            matches!(error, Id(_))
        }),
        // The trust domain alone is no workload.
        (format!("{FRONT};URI=spiffe://prod.example"), |error| {
            matches!(error, Id(_))
        }),
        ("By=x;URI=spiffe://prod.example/a".to_owned(), |error| {
            matches!(error, Id(_))
        }),
        (
            format!("{FRONT};URI=spiffe://a/b;URI=spiffe://a/c"),
            |error| *error == Twice,
        ),
        (format!("{FRONT};{FRONT};URI=spiffe://a/b"), |error| {
            *error == Twice
        }),
        (format!("{FRONT};URI=spiffe://a/b,"), |error| {
            matches!(error, Form(_))
        }),
        (format!("{FRONT};;URI=spiffe://a/b"), |error| {
            matches!(error, Form(_))
        }),
        (format!("{FRONT};URI=spiffe://a/b x"), |error| {
            matches!(error, Form(_))
        }),
        (format!("{FRONT};URI=a=b"), |error| matches!(error, Form(_))),
        // The quotation runs over what the proxy appended.
        (format!("Subject=\"a,{FRONT};URI=spiffe://a/b"), |error| {
            matches!(error, Form(_))
        }),
        // Rule 48: two readings of where it ends.
        (
            format!("Subject=\"a\\\\\";URI=spiffe://a/x,{FRONT};URI=spiffe://a/b"),
            |error| *error == Quotation,
        ),
        ("a=b,".repeat(64) + "a=b", |error| *error == TooMany),
        (
            format!("a=\"{}\"", "b".repeat(MAX_FORWARDING_BYTES)),
            |error| *error == TooLong,
        ),
    ];
    for (text, expected) in &cases {
        let error = xfcc(text).expect_err(text);
        assert!(expected(&error), "{text}: {error}");
        assert!(!error.to_string().ends_with('.'));
    }
    let line = format!("{FRONT};URI=spiffe://a/b");
    let twice = Forwarding::Xfcc.read([line.as_bytes(), line.as_bytes()]);
    assert_eq!(twice, Err(Lines));
    assert!(matches!(
        Forwarding::Xfcc.read([&b"By=\"\x01\""[..]]),
        Err(Form(_))
    ));
}

#[test]
fn rfc_7239_4_the_lines_are_one_list_and_the_last_element_counts() {
    let read =
        |lines: &[&str]| who(Forwarding::Forwarded.read(lines.iter().map(|line| line.as_bytes())));
    let cart = Ok("spiffe://prod.example/cart".to_owned());
    let last = "for=192.0.2.1;by=_front;proto=https;spiffe=\"spiffe://prod.example/cart\"";
    assert_eq!(read(&[last]), cart);
    assert_eq!(read(&[&format!("for=\"[2001:db8::1]:4711\",{last}")]), cart);
    assert_eq!(
        read(&["spiffe=\"spiffe://prod.example/admin\"", last]),
        cart
    );
    assert_eq!(read(&[&last.replace("spiffe=", "SPIFFE=")]), cart);
    assert_eq!(read(&[]), Ok("nobody".to_owned()));
    // §6: an address says where, and never who.
    assert_eq!(read(&["for=192.0.2.1"]), Err(ForwardingError::Nobody));
    assert_eq!(read(&[last, "for=192.0.2.1"]), Err(ForwardingError::Nobody));
    // §4: `:` and `/` only in a quotation.
    assert!(matches!(
        read(&["spiffe=spiffe://a/b"]),
        Err(ForwardingError::Form(_))
    ));
    assert!(matches!(
        read(&["spiffe=\"spiffe://a\\/b\""]),
        Err(ForwardingError::Id(_))
    ));
    assert_eq!(read(&["spiffe=a;Spiffe=b"]), Err(ForwardingError::Twice));
}

proptest::proptest! {
    #[test]
    fn t12_nobody_who_wrote_before_moves_where_the_last_element_begins(
        before in "([a=\",;\\\\ :/]|URI=|spiffe=|spiffe://a/b){0,24}",
    ) {
        let last = [
            format!("{FRONT};Subject=\"CN=a\";URI=spiffe://prod.example/cart"),
            "by=\"_front\";spiffe=\"spiffe://prod.example/cart\"".to_owned(),
        ];
        for (field, last) in Forwarding::ALL.iter().zip(last) {
            let line = format!("{before},{last}");
            let read = who(field.read([line.as_bytes()]));
            let is_cart = |who: &String| who == "spiffe://prod.example/cart";
            proptest::prop_assert!(read.as_ref().map_or(true, is_cart), "{} {:?}", line, read);
        }
    }
}
