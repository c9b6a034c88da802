use serde_json::json;

use super::*;

fn yaml(text: &str) -> Value {
    read_yaml(text.as_bytes()).unwrap().value
}

#[test]
fn merge_keys_are_merged_and_what_stands_beside_them_goes_before() {
    let text = "base: &base {a: 1, b: {c: 2}}\nother: &other {a: 9, d: 4}\none:\n  <<: *base\n  a: 3\nlist:\n  <<: [*base, *other]\n";
    let value = yaml(text);
    assert_eq!(value["one"], json!({ "a": 3, "b": { "c": 2 } }));
    assert_eq!(value["list"], json!({ "a": 1, "b": { "c": 2 }, "d": 4 }));
    assert_eq!(yaml("x: &x {a: 1}\ny: &y {<<: *x, b: 2}\nz: {<<: *y, a: 5}\n")["z"], json!({ "a": 5, "b": 2 }));
    // As kubectl, in the order in which they stand.
    assert_eq!(yaml("x: &x {a: 1}\nz: {a: 5, <<: *x}\n")["z"], json!({ "a": 1 }));
    assert_eq!(yaml("x: &x {a: 1, b: 2}\nw: &w {a: 3}\nz: {<<: *x, <<: *w}\n")["z"], json!({ "a": 3, "b": 2 }));
    assert_eq!(
        yaml("z: {\"<<\": {a: 1}}\nv: {<<: {a: 1}}\nw: {<<: []}\n"),
        json!({ "z": { "<<": { "a": 1 } }, "v": { "a": 1 }, "w": {} })
    );
    let error = read_yaml(b"a: 1\nb: {<<: 3}\n").unwrap_err();
    assert!(error.message.contains("takes a mapping"), "{error}");
    assert_eq!(read_yaml(b"x: &x {a: 1}\ny: {<<: *x, a: 2}\n").unwrap().duplicates, Vec::<String>::new());
}

#[test]
fn a_key_given_twice_is_told_by_its_path_and_the_last_counts() {
    let json = read_json(br#"{"data":{"a":"1","a":"2","a":"3"},"list":[{},{"env":1,"env":2}],"data2":{}}"#).unwrap();
    assert_eq!(json.duplicates, ["data.a", "list[1].env"]);
    assert_eq!(json.value["data"]["a"], "3");
    assert_eq!(read_yaml(b"data: {a: 1}\nx: 1\ndata: {b: 2}\n").unwrap().duplicates, ["data"]);
    let many: Vec<_> = (0..100).map(|n| format!("k{n}: 1\nk{n}: 2\n")).collect();
    assert_eq!(read_yaml(many.concat().as_bytes()).unwrap().duplicates.len(), MAX_DUPLICATES);
}

#[test]
fn texts_are_cut_where_kubectl_cuts_them() {
    let cut = |text| documents(text).iter().map(|d| (d.first_line, d.text.trim().to_owned())).collect::<Vec<_>>();
    let one = |line: usize, text: &str| (line, text.to_owned());
    assert_eq!(cut("---\n# nothing\n---\na: 1\n---   # b\nb: 2\n...\n---\n---\n"), [one(4, "a: 1"), one(6, "b: 2")]);
    assert_eq!(cut("a: 1\r\n---\r\nb: 2\r\n"), [one(1, "a: 1"), one(3, "b: 2")]);
    assert_eq!(cut("\u{feff}a: 1\n\u{feff}---\n\u{feff}b: 2\n"), [one(1, "a: 1"), one(3, "b: 2")]);
    assert_eq!(cut("%YAML 1.1\n---\na: 1\n"), [one(3, "a: 1")]);
    assert_eq!(cut("a: |\n  ---\n  b\n---x: 1\n"), [one(1, "a: |\n  ---\n  b\n---x: 1")]);
    assert_eq!(cut("--- {a: 1}\n--- {b: 2}\n"), [one(1, "--- {a: 1}"), one(2, "--- {b: 2}")]);
    assert_eq!(cut(""), []);
}

#[test]
fn a_body_is_one_document_whatever_stands_around_it() {
    for text in
        ["\u{feff}a: 1\r\n", "---\na: 1\n---\n# end\n", "%YAML 1.2\n---\na: 1\n...\n", "--- {a: 1}", "{\"a\": 1}"]
    {
        assert_eq!(yaml(text), json!({ "a": 1 }), "{text:?}");
    }
    assert_eq!(yaml("---\n# nothing\n"), Value::Null);
    let error = read_yaml(b"a: 1\n---\nb: 2\n").unwrap_err();
    assert_eq!((error.line, error.message.contains("more than one")), (Some(3), true));
    assert_eq!(read_yaml(b"---\na: 1\n b: 2\n").unwrap_err().line, Some(3));
}

#[test]
fn json_is_read_as_json_also_where_yaml_could_not() {
    let emoji = "{\"a\": \"\\ud83d\\ude00\\/\",\n\t\"b\": 1}\n{\"c\": 2}\n";
    let values: Vec<_> = read_document(emoji).unwrap().into_iter().map(|text| text.value).collect();
    assert_eq!(values, [json!({ "a": "\u{1f600}/", "b": 1 }), json!({ "c": 2 })]);
    assert_eq!(read_document("{a: 1, b: [x]}").unwrap()[0].value, json!({ "a": 1, "b": ["x"] }));
    assert!(read_json(b"{} {}").is_err());
}

#[test]
fn keys_are_texts_and_numbers_are_those_of_json() {
    assert_eq!(yaml("1: a\ntrue: b\n"), json!({ "1": "a", "true": "b" }));
    assert_eq!(
        yaml("yes: a\n0644: b\n\"y\": c\n1e3: d\n2001-12-14: e\n.inf: f\n"),
        json!({ "true": "a", "420": "b", "y": "c", "1000": "d", "2001-12-14": "e", ".inf": "f" })
    );
    for wrong in ["a: .nan", "a: .inf", "~: a", "? [a]\n: b", "? {a: 1}\n: b", "a: !!int x", "a: *x", "a: &a [*a]"] {
        assert!(read_yaml(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

/// What `sigs.k8s.io/yaml` 1.4, which kubectl reads with, made of each.
#[test]
fn scalars_mean_what_they_mean_to_kubectl() {
    let cases = [
        ("yes", json!(true)),
        ("y", json!(true)),
        ("n", json!(false)),
        ("on", json!(true)),
        ("OFF", json!(false)),
        ("tRue", json!("tRue")),
        ("\"yes\"", json!("yes")),
        ("'y'", json!("y")),
        ("!!str yes", json!("yes")),
        ("! yes", json!("yes")),
        ("!!bool yes", json!(true)),
        ("!foo 12", json!("12")),
        ("0644", json!(420)),
        ("0o644", json!(420)),
        ("-0644", json!(-420)),
        ("0x1F", json!(31)),
        ("+0x1f", json!(31)),
        ("0b101", json!(5)),
        ("0999", json!(999)),
        ("08", json!(8)),
        ("00", json!(0)),
        ("-0", json!(0)),
        ("1_000", json!(1000)),
        ("_1", json!("_1")),
        ("1_0.5", json!(10.5)),
        ("1e3", json!(1000)),
        ("1.e3", json!(1000)),
        ("1E3", json!(1000)),
        ("1.0", json!(1)),
        (".5", json!(0.5)),
        ("5.", json!(5)),
        ("+.5", json!(0.5)),
        ("1e-7", json!(1e-7)),
        ("1e400", json!("1e400")),
        ("12345678901234567890", json!(12_345_678_901_234_567_890_u64)),
        ("9007199254740993", json!(9_007_199_254_740_993_i64)),
        ("9007199254740993.0", json!(9_007_199_254_740_992_i64)),
        ("0x", json!("0x")),
        ("0o", json!("0o")),
        ("0b12", json!("0b12")),
        ("0xfffffffffffffffff", json!("0xfffffffffffffffff")),
        ("1.2.3", json!("1.2.3")),
        ("1e", json!("1e")),
        ("e3", json!("e3")),
        (".", json!(".")),
        ("+", json!("+")),
        ("--1", json!("--1")),
        ("12:30", json!("12:30")),
        ("190:20:30", json!("190:20:30")),
        ("2001-12-14", json!("2001-12-14")),
        ("2001-12-14T21:59:43Z", json!("2001-12-14T21:59:43Z")),
        ("~", Value::Null),
        ("Null", Value::Null),
        ("", Value::Null),
        ("=", json!("=")),
        ("<<", json!("<<")),
        ("!!int \"3\"", json!(3)),
        ("!!float 3", json!(3)),
        ("!!null \"\"", Value::Null),
        ("!!binary aGVsbG8=", json!("hello")),
        ("!!timestamp 2001-12-14", json!("2001-12-14")),
        ("x#y", json!("x#y")),
        ("1 # one", json!(1)),
        ("{b}", json!({ "b": null })),
        ("[b: c]", json!([{ "b": "c" }])),
        ("|\n  x\r\n  y\r\nb: 1", json!("x\ny\n")),
        ("|-\r\n  x\r\n  y\r\n", json!("x\ny")),
        (">\n  x\n  y\n", json!("x y\n")),
        ("\tb", json!("b")),
        ("&x b\nc: *x", json!("b")),
    ];
    for (text, value) in cases {
        assert_eq!(yaml(&format!("a: {text}"))["a"], value, "{text}");
    }
}

#[test]
fn tabs_stand_between_words_and_indent_nothing() {
    assert_eq!(yaml("a:\tb\t# c\nd: [1,\t2]\n"), json!({ "a": "b", "d": [1, 2] }));
    for wrong in
        ["\ta: b\n", "a:\n\tb: c\n", "a: 1\n\tb: 2\n", "a:\n  - x\n\t- y\n", "a: @x\n", "a: b: c\n", "a: [1, 2\n"]
    {
        assert!(read_yaml(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
}

#[test]
fn depth_and_repetition_are_bounded() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read_yaml(deep.as_bytes()).is_err());
    let deep: String = (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(read_yaml(deep.as_bytes()).is_err());
    let mut laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for n in 1..12 {
        let all = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{all}]\n"));
    }
    let error = read_yaml(laughs.as_bytes()).unwrap_err();
    assert!(error.message.contains("aliases"), "{error}");
    assert_eq!(yaml(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_text_in_utf_16_says_so_with_its_byte_order_mark() {
    let text = "a: \u{e9}\u{1f600}\r\n";
    let encoded = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
        let units = text.encode_utf16().flat_map(bytes);
        mark.into_iter().chain(units).collect::<Vec<_>>()
    };
    let (little, big) = (encoded([0xff, 0xfe], u16::to_le_bytes), encoded([0xfe, 0xff], u16::to_be_bytes));
    for bytes in [&little, &big] {
        assert_eq!(read_yaml(bytes).unwrap().value, json!({ "a": "\u{e9}\u{1f600}" }));
    }
    assert!(read_yaml(&little[..little.len() - 1]).is_err());
    assert!(read_yaml(&[0xff, 0xfe, 0x00, 0xd8]).is_err());
    assert_eq!(read_yaml(&[b'a', 0xff]).unwrap_err().message, "is not UTF-8");
}

/// As yq and kustomize write it.
#[test]
fn a_merge_key_may_say_that_it_is_one() {
    let text = "x: &x {a: 1}\nw:\n  !!merge <<: *x\n  b: 2\nz: {!!merge '<<': *x}\nq: {'<<': 1}\n";
    let value = read_yaml(text.as_bytes()).unwrap().value;
    assert_eq!(value["w"], json!({ "a": 1, "b": 2 }));
    assert_eq!((&value["z"], &value["q"]), (&json!({ "a": 1 }), &json!({ "<<": 1 })));
}

#[test]
fn what_a_text_takes_in_memory_is_bounded_whatever_its_length() {
    let small = |bytes: &str, count: usize| format!("[{}0]", bytes.repeat(count));
    for (one, yaml_too) in [("{\"\":0},", true), ("{\"a\":{}},", true), ("{\"a\":{\"b\":[{\"c\":1}]}},", true)] {
        let text = small(one, (2 << 20) / one.len());
        let refused = read_json(text.as_bytes()).unwrap_err();
        assert!(refused.message.contains("bytes of memory"), "{refused}");
        if yaml_too {
            assert!(read_yaml(text.as_bytes()).unwrap_err().message.contains("bytes of memory"));
        }
    }
    // A million numbers, or as much text as a body may have, are no more than they look like.
    assert!(read_json(small("0,", 1 << 20).as_bytes()).is_ok());
    assert!(read_json(format!("\"{}\"", "x".repeat(2 << 20)).as_bytes()).is_ok());
    let anchors = format!("a: &a {{b: 1}}\nl: [{}1]\n", "*a,".repeat(100_000));
    assert!(read_yaml(anchors.as_bytes()).unwrap_err().message.contains("anchors"));
}

#[test]
fn the_paths_of_keys_given_twice_are_short_however_long_the_keys() {
    let long = "k".repeat(100_000);
    let twice = "{\"a\":1,\"a\":2},".repeat(10);
    let duplicates = read_json(format!("{{\"{long}\":[{twice}0]}}").as_bytes()).unwrap().duplicates;
    assert!(duplicates.iter().all(|path| path.len() < 2000), "{}", duplicates[0].len());
    assert_eq!(duplicates.len(), 1, "those that are cut alike are told once");
    assert_eq!(Path::Key(&Path::Key(&Path::Root, "ä"), "x").cut(3), "ä.…");
}
