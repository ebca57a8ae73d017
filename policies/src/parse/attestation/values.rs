//! Reads the reference values of a profile, by its kind.

use std::collections::{BTreeMap, BTreeSet};

use super::super::document::{At, Section};
use super::super::issuers::is_https;
use crate::ids::is_label;
use crate::rules::{
    AndroidValues, AppAttestValues, EvidenceKind, KeySecurity, Measurement, NitroValues, ReferenceValues, SevSnpValues,
    SgxValues, SnpTcb, SoftwareValues, TdxValues, TpmValues, WebAuthnValues,
};
use crate::{Digest, Finding};

/// Bytes of the name of an app's package, and of an app's identifier, at most.
const NAME_BYTES_MAX: usize = 255;
/// Characters of an Apple team's identifier.
const TEAM_BYTES: usize = 10;

/// The values of a section, if all of them can be read.
pub(super) fn read(kind: EvidenceKind, section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<ReferenceValues> {
    let mut values = Values { section, findings };
    Some(match kind {
        EvidenceKind::Software => {
            ReferenceValues::Software(SoftwareValues { versions: values.texts("versions", is_visible, VERSION)? })
        }
        EvidenceKind::Tpm => {
            let pcrs = values.registers("pcrs", tpm_register, digest);
            let programs = values.list("programs", digest);
            ReferenceValues::Tpm(TpmValues { pcrs: pcrs?, programs: programs? })
        }
        EvidenceKind::SevSnp => {
            let measurements = values.list("measurements", measurement::<48>);
            ReferenceValues::SevSnp(SevSnpValues { measurements: measurements?, tcb_min: values.tcb_min()? })
        }
        EvidenceKind::Tdx => {
            let mrtds = values.list("mrtds", measurement::<48>);
            let rtmrs = values.registers("rtmrs", |number| up_to(number, 3), measurement::<48>);
            let tcb_statuses = values.choices("tcb_statuses");
            ReferenceValues::Tdx(TdxValues { mrtds: mrtds?, rtmrs: rtmrs?, tcb_statuses: tcb_statuses? })
        }
        EvidenceKind::Sgx => {
            let mrenclaves = values.list("mrenclaves", measurement::<32>);
            let tcb_statuses = values.choices("tcb_statuses");
            ReferenceValues::Sgx(SgxValues { mrenclaves: mrenclaves?, tcb_statuses: tcb_statuses? })
        }
        EvidenceKind::Nitro => {
            let pcrs = values.registers("pcrs", |number| up_to(number, 8), measurement::<48>);
            ReferenceValues::Nitro(NitroValues { pcrs: pcrs? })
        }
        EvidenceKind::Android => ReferenceValues::Android(values.android()?),
        EvidenceKind::AppAttest => {
            let app_ids = values.texts("app_ids", is_app_id, APP_ID);
            ReferenceValues::AppAttest(AppAttestValues { app_ids: app_ids?, development: values.flag("development")? })
        }
        EvidenceKind::WebAuthn => ReferenceValues::WebAuthn(values.web_authn()?),
    })
}

const VERSION: &str = "A version is letters, digits and signs of ASCII without a space";
const PACKAGE: &str = "The name of an app's package is names of letters, digits and '_' with dots between them, such as `com.example.player`";
const APP_ID: &str = "An app is named by its team's 10 letters and digits, a dot and its bundle, such as `A1B2C3D4E5.com.example.player`";
const MODEL: &str = "A model of authenticators is a UUID in lower case, such as `00000000-0000-4000-8000-000000000000`";

struct Values<'s, 'd> {
    section: &'s Section<'d>,
    findings: &'s mut Vec<Finding>,
}

impl Values<'_, '_> {
    /// The different values of a list; nothing if the list is absent or one of its values cannot be read.
    fn list<T: Ord>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<BTreeSet<T>> {
        list(self.section, key, read, self.findings)
    }

    fn texts(&mut self, key: &str, fits: impl Fn(&str) -> bool, form: &str) -> Option<BTreeSet<String>> {
        self.list(key, |text| {
            if fits(text) { Ok(text.to_owned()) } else { Err(format!("{form}: `{}` is none.", text.escape_debug())) }
        })
    }

    /// A list of names that the form has already compared with the known ones. It may be absent.
    fn choices(&mut self, key: &str) -> Option<BTreeSet<String>> {
        if self.section.has(key) { self.texts(key, |_| true, "") } else { Some(BTreeSet::new()) }
    }

    fn flag(&self, key: &str) -> Option<bool> {
        if self.section.has(key) { Some(self.section.flag(key)?.value) } else { Some(false) }
    }

    /// Registers by their numbers, with their values. The setting may be absent.
    fn registers<T: Ord>(
        &mut self,
        key: &str,
        number: impl Fn(&str) -> Result<u8, String>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<BTreeMap<u8, BTreeSet<T>>> {
        if !self.section.has(key) {
            return Some(BTreeMap::new());
        }
        let table = self.section.section(key)?;
        let mut registers = Some(BTreeMap::new());
        for At { value: register, place } in table.keys() {
            let number = number(register).map_err(|sentence| {
                self.findings.push(table.document().error(&place, sentence));
            });
            let values = list(&table, register, &read, self.findings);
            registers = registers.zip(number.ok().zip(values)).map(|(mut registers, (number, values))| {
                registers.insert(number, values);
                registers
            });
        }
        registers
    }

    fn tcb_min(&self) -> Option<SnpTcb> {
        if !self.section.has("tcb_min") {
            return Some(SnpTcb::default());
        }
        let table = self.section.section("tcb_min")?;
        Some(SnpTcb {
            bootloader: table.whole("bootloader")?,
            tee: table.whole("tee")?,
            snp: table.whole("snp")?,
            microcode: table.whole("microcode")?,
        })
    }

    fn android(&mut self) -> Option<AndroidValues> {
        let packages = self.texts("packages", is_package, PACKAGE);
        let signers = self.list("signers", digest);
        let security_min = match self.section.text("security_min")?.value {
            "software" => KeySecurity::Software,
            "trusted-environment" => KeySecurity::TrustedEnvironment,
            "strong-box" => KeySecurity::StrongBox,
            _ => return None,
        };
        let patch_level_min: u32 = self.section.whole("patch_level_min")?;
        if !(1..=12).contains(&(patch_level_min % 100)) {
            let sentence = format!("`{patch_level_min}` is no month: a patch level is a year and a month, as YYYYMM.");
            let place = self.section.place_of("patch_level_min");
            self.findings.push(self.section.document().error(&place, sentence));
            return None;
        }
        Some(AndroidValues { packages: packages?, signers: signers?, security_min, patch_level_min })
    }

    fn web_authn(&mut self) -> Option<WebAuthnValues> {
        let domain = self.section.text("relying_party")?;
        let relying_party = domain.value;
        if !relying_party.split('.').all(is_label) {
            let sentence = format!(
                "A relying party is named by its domain in lower case, such as `example.com`: `{}` is none.",
                relying_party.escape_debug()
            );
            self.findings.push(self.section.document().error(&domain.place, sentence));
            return None;
        }
        let form = format!(
            "A page is named as browsers name its origin: https, the domain `{relying_party}` or one below it in lower case, a port unless it is 443, and no path"
        );
        let origins = self.texts("origins", |text| is_origin(text, relying_party), &form);
        let models =
            if self.section.has("models") { self.texts("models", is_uuid, MODEL) } else { Some(BTreeSet::new()) };
        let unattested = self.flag("unattested")?;
        Some(WebAuthnValues { relying_party: relying_party.to_owned(), origins: origins?, models: models?, unattested })
    }
}

fn list<T: Ord>(
    section: &Section<'_>,
    key: &str,
    read: impl Fn(&str) -> Result<T, String>,
    findings: &mut Vec<Finding>,
) -> Option<BTreeSet<T>> {
    let mut sound = section.sound(key);
    let mut values = BTreeSet::new();
    for written in section.texts(key)? {
        let sentence = match read(written.value) {
            Ok(value) => {
                if values.insert(value) {
                    continue;
                }
                format!("`{}` stands in `{key}` twice.", written.value.escape_debug())
            }
            Err(sentence) => sentence,
        };
        findings.push(section.document().error(&written.place, sentence));
        sound = false;
    }
    sound.then_some(values)
}

fn digest(text: &str) -> Result<Digest, String> {
    Ok(Digest::from_bytes(hex(text)?))
}

fn measurement<const BYTES: usize>(text: &str) -> Result<Measurement, String> {
    Ok(Measurement(hex::<BYTES>(text)?.to_vec()))
}

/// Lower case alone, so that the same value is the same text everywhere.
fn hex<const BYTES: usize>(text: &str) -> Result<[u8; BYTES], String> {
    let digits = BYTES * 2;
    let form = format!("A value here is {digits} hexadecimal digits ({BYTES} bytes) in lower case, and nothing else");
    let count = text.chars().count();
    if count != digits {
        return Err(format!("{form}: this has {count} characters."));
    }
    if let Some(other) = text.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
        return Err(format!("{form}: `{}` is no such digit.", other.escape_debug()));
    }
    let nibble = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    Ok(bytes)
}

fn number(text: &str) -> Option<u8> {
    text.parse().ok().filter(|number: &u8| number.to_string() == text)
}

fn up_to(text: &str, last: u8) -> Result<u8, String> {
    let number = number(text).filter(|number| *number <= last);
    number.ok_or_else(|| format!("A register has a number from 0 to {last}: `{}` is none.", text.escape_debug()))
}

/// Registers of the TPM that only a restart of the machine resets (TCG PC Client Platform TPM Profile, §4.6).
fn tpm_register(text: &str) -> Result<u8, String> {
    match number(text) {
        Some(10) => Err("Register 10 holds what the kernel measured since the start, program after program, and no two starts agree: its log is replayed instead. Write the digest of the program in `programs`.".to_owned()),
        Some(number @ 0..=15) => Ok(number),
        Some(number @ 16..=23) => Err(format!(
            "Register {number} can be reset by software while the machine runs, and then be given any value: it proves nothing of what runs. Write registers 0 to 9 and 11 to 15, and the digest of the program in `programs`."
        )),
        _ => Err(format!("A TPM has the registers 0 to 23: `{}` is none.", text.escape_debug())),
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_package(text: &str) -> bool {
    let segment = |segment: &str| {
        segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && segment.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
    };
    text.len() <= NAME_BYTES_MAX && text.contains('.') && text.split('.').all(segment)
}

fn is_app_id(text: &str) -> bool {
    let Some((team, bundle)) = text.split_once('.') else { return false };
    let segment =
        |segment: &str| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.len() <= NAME_BYTES_MAX
        && team.len() == TEAM_BYTES
        && team.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && bundle.split('.').all(segment)
}

fn is_origin(text: &str, relying_party: &str) -> bool {
    let Some(authority) = text.strip_prefix("https://").filter(|_| is_https(text, false)) else { return false };
    let host = authority.split(':').next().unwrap_or_default();
    let below = host.strip_suffix(relying_party).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    // A browser leaves out the port that https has without it, and writes others without zeros in front.
    let port = authority.split_once(':').map(|(_, port)| port);
    below
        && !authority.contains(['/', '?'])
        && !text.bytes().any(|b| b.is_ascii_uppercase())
        && port.is_none_or(|port| port != "443" && !port.starts_with('0'))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        })
}
