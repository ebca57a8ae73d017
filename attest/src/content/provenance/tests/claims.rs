//! What a manifest says of artificial intelligence, edits and ingredients, and of itself.

use serde_json::json;

use super::fixtures::{CAPTURE, NOW_MS, Signatory, actions, builder, definition, jpeg, rule};
use super::*;

const GENERATED: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
const COMPOSITE: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";

fn check(signatory: &Signatory, clip: &[u8]) -> Provenance {
    Checker::new(&rule(&[&signatory.root_pem])).unwrap().check(MediaType::Jpeg, clip, NOW_MS).unwrap()
}

fn made(told: &Provenance) -> Option<AiUse> {
    told.ai.as_ref().map(|ai| ai.made)
}

#[test]
fn what_was_generated_says_so() {
    let signatory = Signatory::new();
    for (source_type, expected) in
        [(GENERATED, AiUse::Generated), (COMPOSITE, AiUse::Composite), (CAPTURE, AiUse::NotStated)]
    {
        let told = check(&signatory, &signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&actions(source_type))));
        assert_eq!((told.state, made(&told)), (State::Trusted, Some(expected)), "{source_type}");
    }
}

/// An edit of what was generated stays so; a picture that has it as a part is composite.
#[test]
fn what_was_generated_is_told_through_ingredients() {
    let signatory = Signatory::new();
    let generated = signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&actions(GENERATED)));
    for (relationship, action, expected) in
        [("parentOf", "c2pa.opened", AiUse::Generated), ("componentOf", "c2pa.placed", AiUse::Composite)]
    {
        let created = json!({"action": "c2pa.created", "digitalSourceType": CAPTURE});
        let used = json!({"action": action, "parameters": {"ingredientIds": ["part"]}});
        let list = if relationship == "parentOf" { json!([used]) } else { json!([created, used]) };
        let mut builder = builder(&definition(&json!([{"label": "c2pa.actions", "data": {"actions": list}}])));
        let ingredient =
            json!({"title": "A part", "relationship": relationship, "instance_id": "part", "label": "part"});
        let mut stream = Cursor::new(&generated);
        builder.add_ingredient_from_stream(ingredient.to_string(), "image/jpeg", &mut stream).expect("it is added");
        let (clip, _) = signatory.save(MediaType::Jpeg, &jpeg(), builder);
        let told = check(&signatory, &clip);
        assert_eq!(made(&told), Some(expected), "{relationship}: {told:?}");
        let expected = Ingredients { count: 1, depth: 1, parent: relationship == "parentOf" };
        assert_eq!(told.ingredients, Some(expected));
        assert_eq!(told.state, State::Trusted, "{told:?}");
    }
}

#[test]
fn disclosure_and_mining_are_told() {
    let signatory = Signatory::new();
    let mut assertions = actions(GENERATED);
    let more = json!([
        {"label": "c2pa.ai-disclosure", "data": {"modelType": "c2pa.types.model"}},
        {"label": "c2pa.training-mining", "data": {"entries": {
            "c2pa.ai_training": {"use": "notAllowed"}, "c2pa.data_mining": {"use": "allowed"},
            "c2pa.ai_inference": {"use": "constrained"},
        }}},
    ]);
    assertions.as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    let told = check(&signatory, &signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&assertions)));
    let mut ai = told.ai.unwrap();
    ai.mining.sort_by(|a, b| a.purpose.cmp(&b.purpose));
    let mining = |purpose: &str, allowed| Mining { purpose: purpose.to_owned(), allowed };
    let expected = Ai {
        made: AiUse::Generated,
        disclosure: true,
        mining: vec![
            mining("c2pa.ai_inference", MiningUse::Constrained),
            mining("c2pa.ai_training", MiningUse::NotAllowed),
            mining("c2pa.data_mining", MiningUse::Allowed),
        ],
    };
    assert_eq!(ai, expected);
}

#[test]
fn edits_are_told_in_their_order_and_bounded() {
    let signatory = Signatory::new();
    let mut list = vec![json!({"action": "c2pa.created", "digitalSourceType": CAPTURE})];
    list.extend((0..EDITS_MAX + 5).map(|_| json!({"action": "c2pa.cropped"})));
    let assertions = json!([{"label": "c2pa.actions", "data": {"actions": list}}]);
    let told = check(&signatory, &signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&assertions)));
    assert_eq!((told.edits.len(), told.edits_left_off), (EDITS_MAX, 6));
    assert_eq!((told.edits[0].action.as_str(), told.edits[1].action.as_str()), ("c2pa.created", "c2pa.cropped"));
}

#[test]
fn names_are_bounded_and_show_what_they_are() {
    let signatory = Signatory::of(fixtures::leaf(&format!("A\u{202e}B\n{}", "c".repeat(300))));
    let mut definition = definition(&actions(CAPTURE));
    definition["title"] = json!(format!("\u{7}t\u{200b}{}", "é".repeat(500)));
    definition["claim_generator_info"][0]["name"] = json!("x".repeat(1000));
    let told = check(&signatory, &signatory.sign(MediaType::Jpeg, &jpeg(), &definition));
    let name = told.signer.as_ref().and_then(|signer| signer.common_name.clone());
    assert_eq!(name, Some(format!("AB{}", "c".repeat(TEXT_BYTES_MAX - 2))));
    assert_eq!(told.title, Some(format!("t{}", "é".repeat((TEXT_BYTES_MAX - 1) / 2))));
    assert_eq!(told.claim_generator, Some("x".repeat(TEXT_BYTES_MAX)));
}
