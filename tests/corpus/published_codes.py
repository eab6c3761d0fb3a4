"""Language codes of published models and data sets beside their right names, written by hand.

FLEURS: https://arxiv.org/abs/2205.12446, table 9. mBART-50: https://arxiv.org/abs/2008.00401.
M2M-100: https://arxiv.org/abs/2010.11125 (``zh`` means two names and is left out). NTREX-128:
https://github.com/MicrosoftTranslator/NTREX, LANGUAGES.tsv (``fuc``, ``hmn`` and ``mey`` have no
usual script and are left out). Tatoeba: https://github.com/facebookresearch/LASER, data/tatoeba.
FLORES+, what differs from FLORES-200: https://github.com/openlanguagedata/flores, README and
CHANGELOG. GlotLID, its labels of the languages of FLORES+: https://github.com/cisnlp/GlotLID,
assets/map/flores.json.
"""

from __future__ import annotations

_FLEURS = """
af_za=afr_Latn am_et=amh_Ethi ar_eg=arb_Arab as_in=asm_Beng ast_es=ast_Latn az_az=azj_Latn
be_by=bel_Cyrl bg_bg=bul_Cyrl bn_in=ben_Beng bs_ba=bos_Latn ca_es=cat_Latn ceb_ph=ceb_Latn
ckb_iq=ckb_Arab cmn_hans_cn=zho_Hans cs_cz=ces_Latn cy_gb=cym_Latn da_dk=dan_Latn de_de=deu_Latn
el_gr=ell_Grek en_us=eng_Latn es_419=spa_Latn et_ee=est_Latn fa_ir=pes_Arab ff_sn=fuv_Latn
fi_fi=fin_Latn fil_ph=tgl_Latn fr_fr=fra_Latn ga_ie=gle_Latn gl_es=glg_Latn gu_in=guj_Gujr
ha_ng=hau_Latn he_il=heb_Hebr hi_in=hin_Deva hr_hr=hrv_Latn hu_hu=hun_Latn hy_am=hye_Armn
id_id=ind_Latn ig_ng=ibo_Latn is_is=isl_Latn it_it=ita_Latn ja_jp=jpn_Jpan jv_id=jav_Latn
ka_ge=kat_Geor kam_ke=kam_Latn kea_cv=kea_Latn kk_kz=kaz_Cyrl km_kh=khm_Khmr kn_in=kan_Knda
ko_kr=kor_Hang ky_kg=kir_Cyrl lb_lu=ltz_Latn lg_ug=lug_Latn ln_cd=lin_Latn lo_la=lao_Laoo
lt_lt=lit_Latn luo_ke=luo_Latn lv_lv=lvs_Latn mi_nz=mri_Latn mk_mk=mkd_Cyrl ml_in=mal_Mlym
mn_mn=khk_Cyrl mr_in=mar_Deva ms_my=zsm_Latn mt_mt=mlt_Latn my_mm=mya_Mymr nb_no=nob_Latn
ne_np=npi_Deva nl_nl=nld_Latn nso_za=nso_Latn ny_mw=nya_Latn oc_fr=oci_Latn om_et=gaz_Latn
or_in=ory_Orya pa_in=pan_Guru pl_pl=pol_Latn ps_af=pbt_Arab pt_br=por_Latn ro_ro=ron_Latn
ru_ru=rus_Cyrl sd_in=snd_Arab sk_sk=slk_Latn sl_si=slv_Latn sn_zw=sna_Latn so_so=som_Latn
sr_rs=srp_Cyrl sv_se=swe_Latn sw_ke=swh_Latn ta_in=tam_Taml te_in=tel_Telu tg_tj=tgk_Cyrl
th_th=tha_Thai tr_tr=tur_Latn uk_ua=ukr_Cyrl umb_ao=umb_Latn ur_pk=urd_Arab uz_uz=uzn_Latn
vi_vn=vie_Latn wo_sn=wol_Latn xh_za=xho_Latn yo_ng=yor_Latn yue_hant_hk=yue_Hant zu_za=zul_Latn
"""
_MBART50 = """
ar_AR=arb_Arab cs_CZ=ces_Latn de_DE=deu_Latn en_XX=eng_Latn es_XX=spa_Latn et_EE=est_Latn
fi_FI=fin_Latn fr_XX=fra_Latn gu_IN=guj_Gujr hi_IN=hin_Deva it_IT=ita_Latn ja_XX=jpn_Jpan
kk_KZ=kaz_Cyrl ko_KR=kor_Hang lt_LT=lit_Latn lv_LV=lvs_Latn my_MM=mya_Mymr ne_NP=npi_Deva
nl_XX=nld_Latn ro_RO=ron_Latn ru_RU=rus_Cyrl si_LK=sin_Sinh tr_TR=tur_Latn vi_VN=vie_Latn
zh_CN=zho_Hans af_ZA=afr_Latn az_AZ=azj_Latn bn_IN=ben_Beng fa_IR=pes_Arab he_IL=heb_Hebr
hr_HR=hrv_Latn id_ID=ind_Latn ka_GE=kat_Geor km_KH=khm_Khmr mk_MK=mkd_Cyrl ml_IN=mal_Mlym
mn_MN=khk_Cyrl mr_IN=mar_Deva pl_PL=pol_Latn ps_AF=pbt_Arab pt_XX=por_Latn sv_SE=swe_Latn
sw_KE=swh_Latn ta_IN=tam_Taml te_IN=tel_Telu th_TH=tha_Thai tl_XX=tgl_Latn uk_UA=ukr_Cyrl
ur_PK=urd_Arab xh_ZA=xho_Latn gl_ES=glg_Latn sl_SI=slv_Latn
"""
_M2M100 = """
af=afr_Latn am=amh_Ethi ar=arb_Arab ast=ast_Latn az=azj_Latn ba=bak_Cyrl be=bel_Cyrl bg=bul_Cyrl
bn=ben_Beng br=bre_Latn bs=bos_Latn ca=cat_Latn ceb=ceb_Latn cs=ces_Latn cy=cym_Latn da=dan_Latn
de=deu_Latn el=ell_Grek en=eng_Latn es=spa_Latn et=est_Latn fa=pes_Arab ff=fuv_Latn fi=fin_Latn
fr=fra_Latn fy=fry_Latn ga=gle_Latn gd=gla_Latn gl=glg_Latn gu=guj_Gujr ha=hau_Latn he=heb_Hebr
hi=hin_Deva hr=hrv_Latn ht=hat_Latn hu=hun_Latn hy=hye_Armn id=ind_Latn ig=ibo_Latn ilo=ilo_Latn
is=isl_Latn it=ita_Latn ja=jpn_Jpan jv=jav_Latn ka=kat_Geor kk=kaz_Cyrl km=khm_Khmr kn=kan_Knda
ko=kor_Hang lb=ltz_Latn lg=lug_Latn ln=lin_Latn lo=lao_Laoo lt=lit_Latn lv=lvs_Latn mg=plt_Latn
mk=mkd_Cyrl ml=mal_Mlym mn=khk_Cyrl mr=mar_Deva ms=zsm_Latn my=mya_Mymr ne=npi_Deva nl=nld_Latn
no=nob_Latn ns=nso_Latn oc=oci_Latn or=ory_Orya pa=pan_Guru pl=pol_Latn ps=pbt_Arab pt=por_Latn
ro=ron_Latn ru=rus_Cyrl sd=snd_Arab si=sin_Sinh sk=slk_Latn sl=slv_Latn so=som_Latn sq=als_Latn
sr=srp_Cyrl ss=ssw_Latn su=sun_Latn sv=swe_Latn sw=swh_Latn ta=tam_Taml th=tha_Thai tl=tgl_Latn
tn=tsn_Latn tr=tur_Latn uk=ukr_Cyrl ur=urd_Arab uz=uzn_Latn vi=vie_Latn wo=wol_Latn xh=xho_Latn
yi=ydd_Hebr yo=yor_Latn zu=zul_Latn
"""
_NTREX128 = """
afr=afr_Latn amh=amh_Ethi arb=arb_Arab aze-Latn=azj_Latn bak=bak_Cyrl bel=bel_Cyrl bem=bem_Latn
ben=ben_Beng bod=bod_Tibt bos=bos_Latn bul=bul_Cyrl cat=cat_Latn ces=ces_Latn ckb-Arab=ckb_Arab
cym=cym_Latn dan=dan_Latn deu=deu_Latn div=div_Thaa dzo=dzo_Tibt ell=ell_Grek eng-GB=eng_Latn
eng-IN=eng_Latn eng-US=eng_Latn est=est_Latn eus=eus_Latn ewe=ewe_Latn fao=fao_Latn fas=pes_Arab
fij=fij_Latn fil=tgl_Latn fin=fin_Latn fra=fra_Latn fra-CA=fra_Latn gle=gle_Latn
glg=glg_Latn guj=guj_Gujr hau=hau_Latn heb=heb_Hebr hin=hin_Deva hrv=hrv_Latn hun=hun_Latn
hye=hye_Armn ibo=ibo_Latn ind=ind_Latn isl=isl_Latn ita=ita_Latn jpn=jpn_Jpan kan=kan_Knda
kat=kat_Geor kaz=kaz_Cyrl khm=khm_Khmr kin=kin_Latn kir=kir_Cyrl kmr=kmr_Latn kor=kor_Hang
lao=lao_Laoo lav=lvs_Latn lit=lit_Latn ltz=ltz_Latn mal=mal_Mlym mar=mar_Deva mkd=mkd_Cyrl
mlg=plt_Latn mlt=mlt_Latn mon=khk_Cyrl mri=mri_Latn msa=zsm_Latn mya=mya_Mymr nde=nde_Latn
nep=npi_Deva nld=nld_Latn nno=nno_Latn nob=nob_Latn nso=nso_Latn nya=nya_Latn orm=gaz_Latn
pan=pan_Guru pol=pol_Latn por=por_Latn por-BR=por_Latn prs=prs_Arab pus=pbt_Arab ron=ron_Latn
rus=rus_Cyrl shi=shi_Tfng sin=sin_Sinh slk=slk_Latn slv=slv_Latn smo=smo_Latn sna-Latn=sna_Latn
snd-Arab=snd_Arab som=som_Latn spa=spa_Latn spa-MX=spa_Latn sqi=als_Latn srp-Cyrl=srp_Cyrl
srp-Latn=srp_Latn ssw=ssw_Latn swa=swh_Latn swe=swe_Latn tah=tah_Latn tam=tam_Taml tat=tat_Cyrl
tel=tel_Telu tgk-Cyrl=tgk_Cyrl tha=tha_Thai tir=tir_Ethi ton=ton_Latn tsn=tsn_Latn tuk=tuk_Latn
tur=tur_Latn uig=uig_Arab ukr=ukr_Cyrl urd=urd_Arab uzb=uzn_Latn ven=ven_Latn vie=vie_Latn
wol=wol_Latn xho=xho_Latn yor=yor_Latn yue=yue_Hant zho-CN=zho_Hans zho-TW=zho_Hant zul=zul_Latn
"""
_TATOEBA = """
afr=afr_Latn amh=amh_Ethi ang=ang_Latn ara=arb_Arab arq=arq_Arab arz=arz_Arab ast=ast_Latn
awa=awa_Deva aze=azj_Latn bel=bel_Cyrl ben=ben_Beng ber=ber_Latn bos=bos_Latn bre=bre_Latn
bul=bul_Cyrl cat=cat_Latn cbk=cbk_Latn ceb=ceb_Latn ces=ces_Latn cha=cha_Latn cmn=zho_Hans
cor=cor_Latn csb=csb_Latn cym=cym_Latn dan=dan_Latn deu=deu_Latn dsb=dsb_Latn dtp=dtp_Latn
ell=ell_Grek epo=epo_Latn est=est_Latn eus=eus_Latn fao=fao_Latn fin=fin_Latn fra=fra_Latn
fry=fry_Latn gla=gla_Latn gle=gle_Latn glg=glg_Latn gsw=gsw_Latn heb=heb_Hebr hin=hin_Deva
hrv=hrv_Latn hsb=hsb_Latn hun=hun_Latn hye=hye_Armn ido=ido_Latn ile=ile_Latn ina=ina_Latn
ind=ind_Latn isl=isl_Latn ita=ita_Latn jav=jav_Latn jpn=jpn_Jpan kab=kab_Latn kat=kat_Geor
kaz=kaz_Cyrl khm=khm_Khmr kor=kor_Hang kur=kmr_Latn kzj=kzj_Latn lat=lat_Latn lfn=lfn_Latn
lit=lit_Latn lvs=lvs_Latn mal=mal_Mlym mar=mar_Deva max=max_Latn mhr=mhr_Cyrl mkd=mkd_Cyrl
mon=khk_Cyrl nds=nds_Latn nld=nld_Latn nno=nno_Latn nob=nob_Latn nov=nov_Latn oci=oci_Latn
orv=orv_Cyrl pam=pam_Latn pes=pes_Arab pms=pms_Latn pol=pol_Latn por=por_Latn ron=ron_Latn
rus=rus_Cyrl slk=slk_Latn slv=slv_Latn spa=spa_Latn sqi=als_Latn srp=srp_Cyrl swe=swe_Latn
swg=swg_Latn swh=swh_Latn tam=tam_Taml tat=tat_Cyrl tel=tel_Telu tgl=tgl_Latn tha=tha_Thai
tuk=tuk_Latn tur=tur_Latn tzl=tzl_Latn uig=uig_Arab ukr=ukr_Cyrl urd=urd_Arab uzb=uzn_Latn
vie=vie_Latn war=war_Latn wuu=wuu_Hans xho=xho_Latn yid=ydd_Hebr yue=yue_Hant zsm=zsm_Latn
"""
_FLORES_PLUS = """
cmn_Hans=zho_Hans cmn_Hant=zho_Hant ekk_Latn=est_Latn fil_Latn=tgl_Latn gug_Latn=grn_Latn
ktu_Latn=ktu_Latn zgh_Tfng=zgh_Tfng apc_Arab_nort3139=apc_Arab apc_Arab_sout3123=ajp_Arab
twi_Latn_akua1239=twi_Latn twi_Latn_asan1239=aka_Latn brx_Deva=brx_Deva chv_Cyrl=chv_Cyrl
dgo_Deva=dgo_Deva gom_Deva=gom_Deva mhr_Cyrl=mhr_Cyrl mni_Mtei=mni_Mtei snd_Deva=snd_Deva
nqo_Nkoo=nqo_Nkoo wuu_Hans=wuu_Hans lld_Latn_gard1241=lld_Latn oci_Latn_aran1260=oci_Latn
cat_Latn_vale1252=cat_Latn khk_Mong=khk_Mong tyv_Cyrl=tyv_Cyrl myv_Cyrl=myv_Cyrl kaa_Latn=kaa_Latn
nob_Latn_radical=nob_Latn
"""
_GLOTLID = """
arb_Arab=arb_Arab cmn_Hani=zho_Hans yue_Hani=yue_Hant wuu_Hani=wuu_Hans fas_Arab=pes_Arab
doi_Deva=doi_Deva ekk_Latn=est_Latn fil_Latn=tgl_Latn gug_Latn=grn_Latn twi_Latn=twi_Latn
apc_Arab=apc_Arab arz_Arab=arz_Arab lld_Latn=lld_Latn oci_Latn=oci_Latn cat_Latn=cat_Latn
nob_Latn=nob_Latn kor_Hang=kor_Hang jpn_Jpan=jpn_Jpan zsm_Latn=zsm_Latn swh_Latn=swh_Latn
lvs_Latn=lvs_Latn azj_Latn=azj_Latn uzn_Latn=uzn_Latn quy_Latn=quy_Latn pbt_Arab=pbt_Arab
pes_Arab=pes_Arab prs_Arab=prs_Arab
"""


def _pairs(text: str) -> dict[str, str]:
    pairs = (pair.split("=") for pair in text.split())
    return {code: name for code, name in pairs}  # noqa: C416


PUBLISHED = {
    "FLEURS": _pairs(_FLEURS),
    "MBART50": _pairs(_MBART50),
    "M2M100": _pairs(_M2M100),
    "NTREX128": _pairs(_NTREX128),
    "TATOEBA": _pairs(_TATOEBA),
    "FLORES_PLUS": _pairs(_FLORES_PLUS),
    "GLOTLID": _pairs(_GLOTLID),
}
